"""Atari games, their scores, and recordings and films of them."""
