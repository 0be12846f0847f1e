"""What goes into a model: pictures (images), data sets (datasets) and Atari games (atari), as NumPy arrays and text.

Decoding, cropping and broken files are dealt with here, once. No model and no training code; Keras is never imported.
"""
