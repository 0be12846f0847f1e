"""One page, one famous result."""
