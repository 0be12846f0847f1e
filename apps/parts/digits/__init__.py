"""What apps/digits.py alone needs."""
