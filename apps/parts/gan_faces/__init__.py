"""What apps/gan_faces.py alone needs."""
