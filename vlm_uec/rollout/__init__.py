"""How tokens are sampled; nothing outside this package knows."""
