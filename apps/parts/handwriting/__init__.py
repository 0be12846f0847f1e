"""What apps/handwriting.py alone needs."""
