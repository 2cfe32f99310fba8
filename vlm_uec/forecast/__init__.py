"""Estimates and checks before a run starts: data, tokens, memory, disk; `train.py --dry-run`."""
