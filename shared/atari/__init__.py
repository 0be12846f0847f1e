"""Atari games, their scores, and films of them."""
