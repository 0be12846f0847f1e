"""Keras layers that Keras itself lacks: one a file, written with keras.ops, serialisable."""
