"""Re-exports the Pass@k and maj@k estimators of `vlm_uec/estimators.py`."""

from vlm_uec.estimators import Votes, maj_at_k, mean_at_n, mean_pass_at_k, pass_at_k

__all__ = ["Votes", "maj_at_k", "mean_at_n", "mean_pass_at_k", "pass_at_k"]
