"""What apps/explain.py alone needs."""
