"""What apps/fgsm.py alone needs."""
