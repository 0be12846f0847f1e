"""What apps/image_captioner.py alone needs."""
