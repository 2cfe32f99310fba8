"""Estimates a run's data, tokens, memory and disk before it starts: `train.py --dry-run`."""
