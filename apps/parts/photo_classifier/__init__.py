"""What apps/photo_classifier.py alone needs."""
