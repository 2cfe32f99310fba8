"""The predicted change of the policy's entropy, logged separately for exploration and replay.

To first order, for a softmax policy under natural policy gradient with step size eta (arXiv 2604.14646):

    H(pi_{k+1} | s) - H(pi_k | s)  =  -eta * Cov_{a ~ pi_k}[log pi_k(a | s), A(s, a)]
"""

from __future__ import annotations

import torch


def covariance_terms(logprobs: torch.Tensor, entropy: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    """(log pi(y_t | s_t) + H(s_t)) * A, all [T], nats; the mean over a source's tokens is its covariance.

    `entropy` is the exact entropy of each state. Because E[log pi] = -H, adding it removes each state's mean;
    the plain covariance over a batch is zero for a rescued group, whose trajectories share one advantage.
    """
    return (logprobs + entropy) * advantages


def predicted_entropy_change(learning_rate: float, covariance: float) -> float:
    """-learning_rate * covariance, nats: the first-order entropy change of one natural-gradient step."""
    return -learning_rate * covariance
