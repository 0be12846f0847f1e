"""What apps/translator.py alone needs."""
