"""What goes into a model: photos, texts, vocabularies, batches and data sets, as NumPy arrays and strings.

Photos are decoded and cropped, and broken files are dealt with, here alone. No model and no training code; Keras is
never imported.
"""
