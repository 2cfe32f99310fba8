"""A training run on one rank: its directory, components, loop and records."""
