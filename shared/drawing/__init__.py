"""Pictures, films, curves and bars."""
