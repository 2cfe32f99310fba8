"""Metrics, samples, console display and trackers of a run."""
