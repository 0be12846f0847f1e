"""Pretrained networks that name what is on a photo: to use, to fine-tune and to attack."""
