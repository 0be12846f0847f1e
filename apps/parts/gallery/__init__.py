"""What apps/gallery.py alone needs."""
