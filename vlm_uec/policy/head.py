"""Log-probs and exact entropy of scored tokens without ever holding [T, V] logits.

The head walks over the T positions in chunks and keeps only log-probs and entropies; backward
recomputes each chunk's logits. Gradients accumulate in fp32: rounding each chunk's share to bf16 drifts
the entropy down over tens of steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

CHUNK_ELEMENTS = 1 << 25  # logits held at a time: 128 MiB of fp32


def logits_of(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Logits [T, V] in fp32 (fp64 stays fp64) of hidden states [T, H], whatever the weights' precision."""
    if hidden.dtype in (torch.float32, torch.float64):
        return hidden @ weight.t()
    if hidden.is_cuda:
        return torch.mm(hidden, weight.t(), out_dtype=torch.float32)
    return hidden.float() @ weight.float().t()


def log_softmax_allowed(logits: torch.Tensor, banned: torch.Tensor) -> torch.Tensor:
    """Log-probs [T, V] at t = 1 over the allowed ids; banned ids ([V] bool) get -inf."""
    return torch.log_softmax(logits.masked_fill(banned, -torch.inf), dim=-1)


def entropy_of(logprobs: torch.Tensor) -> torch.Tensor:
    """Exact entropy [T], in nats, of log-probs [T, V]; an id of probability 0 adds nothing."""
    return -(logprobs.exp() * logprobs.masked_fill(logprobs == -torch.inf, 0.0)).sum(dim=-1)


class LogProbHead(nn.Module):
    """The language-model head as a scorer; one module call a pass, as ZeRO-3 gathers by module."""

    banned: torch.Tensor

    def __init__(self, weight: nn.Parameter, banned: torch.Tensor) -> None:
        """`weight` [V, H], shared with the model's own head; `banned` [V] bool."""
        super().__init__()
        self.weight = weight
        self.register_buffer("banned", banned, persistent=False)

    def forward(self, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states [T, H] and target ids [T] to log-probs [T] and exact entropies [T], both fp32."""
        logprobs, entropy = _ScoreTokens.apply(hidden, self.weight, targets, self.banned)
        return logprobs, entropy


class _ScoreTokens(torch.autograd.Function):
    """d log p(y) / dz = onehot(y) - p;  d H / dz = -p (log p + H)."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, banned: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(hidden, weight, targets, banned)
        scored = [
            _score(log_softmax_allowed(logits_of(hidden[span], weight), banned), targets[span])
            for span in _chunks(len(targets), weight.shape[0])
        ]
        return torch.cat([logprobs for logprobs, _ in scored]), torch.cat([entropy for _, entropy in scored])

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, targets, banned = ctx.saved_tensors
        grad_logprobs, grad_entropy = grads
        wide = grad_logprobs.dtype
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros(weight.shape, dtype=wide, device=weight.device)
        for span in _chunks(len(targets), weight.shape[0]):
            logprobs = log_softmax_allowed(logits_of(hidden[span], weight), banned)
            grad_logits = _grad_logits(logprobs, targets[span], grad_logprobs[span], grad_entropy[span])
            grad_hidden[span] = (grad_logits @ weight.to(wide)).to(hidden.dtype)
            grad_weight += grad_logits.t() @ hidden[span].to(wide)
        return grad_hidden, grad_weight.to(weight.dtype), None, None


def _score(logprobs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return logprobs.gather(1, targets[:, None])[:, 0], entropy_of(logprobs)


def _grad_logits(
    logprobs: torch.Tensor, targets: torch.Tensor, grad_logprobs: torch.Tensor, grad_entropy: torch.Tensor
) -> torch.Tensor:
    probabilities = logprobs.exp()
    finite = logprobs.masked_fill(logprobs == -torch.inf, 0.0)
    grad = -probabilities * (
        grad_logprobs[:, None] + grad_entropy[:, None] * (finite + entropy_of(logprobs)[:, None])
    )
    return grad.scatter_add_(1, targets[:, None], grad_logprobs[:, None])


def _chunks(tokens: int, vocabulary: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, size)]
