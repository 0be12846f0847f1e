"""What apps/dqn_breakout.py alone needs."""
