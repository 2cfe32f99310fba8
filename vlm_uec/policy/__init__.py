"""The policy and everything that knows DeepSpeed."""
