"""Scoring and update passes: learner, micro-batches, sums over ranks, non-finite updates."""
