"""What apps/silent_film.py alone needs."""
