"""What a run will ask of data and hardware, before it starts: `train.py --dry-run`."""
