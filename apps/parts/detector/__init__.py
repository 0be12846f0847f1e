"""What apps/detector.py alone needs."""
