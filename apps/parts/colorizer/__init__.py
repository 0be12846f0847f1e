"""What apps/colorizer.py alone needs."""
