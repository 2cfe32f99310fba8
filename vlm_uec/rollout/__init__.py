"""Rollout engines: how responses are sampled."""
