"""Parts of apps/tables.py."""
