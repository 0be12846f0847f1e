"""What every test may count on."""

import signal

# A shell's background job begins with Ctrl-C ignored, and its children inherit that: CI may well be one.
signal.signal(signal.SIGINT, signal.default_int_handler)
