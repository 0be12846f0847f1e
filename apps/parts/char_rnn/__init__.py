"""What apps/char_rnn.py alone needs."""
