"""Pretrained networks that name what is on a photo: to use, to attack, to explain."""
