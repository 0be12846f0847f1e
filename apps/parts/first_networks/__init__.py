"""What apps/first_networks.py alone needs."""
