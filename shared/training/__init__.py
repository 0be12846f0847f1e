"""Compiled updates, devices, checkpoints, the loop and the run's log. The only code that knows the backend."""
