"""How a model is trained: compiled updates, devices, checkpoints and the run's log. The only code that knows the backend."""
