"""Compiled updates, devices, optimizers, checkpoints, loops and the run's log: the only code that knows the backend."""
