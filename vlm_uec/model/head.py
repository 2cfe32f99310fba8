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


def logits_of(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Logits [T, V] in fp32 (fp64 stays fp64) of hidden states [T, H], whatever the weights' precision.

    `bias` [V], of the logits' precision, is added.
    """
    if hidden.is_cuda and hidden.dtype == torch.bfloat16:
        logits = torch.mm(hidden, weight.t(), out_dtype=torch.float32)
        return logits if bias is None else logits.add_(bias)
    if hidden.dtype == torch.bfloat16:
        hidden, weight = hidden.float(), weight.float()
    return torch.mm(hidden, weight.t()) if bias is None else torch.addmm(bias, hidden, weight.t())


def log_softmax_allowed(logits: torch.Tensor, banned: torch.Tensor) -> torch.Tensor:
    """Log-probs [T, V] at t = 1 over the allowed ids; banned ids ([V] bool) get about -1e30."""
    return torch.log_softmax(logits + _ban(banned, logits.dtype), dim=-1)


def entropy_of(logprobs: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Exact entropy [T], in nats, of finite log-probs [T, V] and their exponentials."""
    return -torch.linalg.vecdot(probabilities, logprobs)


class LogProbHead(nn.Module):
    """The language-model head as a scorer; one module call a pass, as ZeRO-3 gathers by module."""

    banned: torch.Tensor

    def __init__(self, weight: nn.Parameter, banned: torch.Tensor) -> None:
        """`weight` [V, H], shared with the model's own head; `banned` [V] bool."""
        super().__init__()
        self.weight = weight
        # DeepSpeed moves no buffers of a model that was loaded in shards.
        self.register_buffer("banned", banned.to(weight.device), persistent=False)

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
        ctx.set_materialize_grads(False)
        spans, bias = _chunks(len(targets), weight.shape[0]), _ban(banned, hidden.dtype)
        chosen, entropies = [], []
        probabilities = None
        for span in spans:
            logprobs = torch.log_softmax(logits_of(hidden[span], weight, bias), dim=-1)
            probabilities = logprobs.exp()
            chosen.append(logprobs.gather(1, targets[span, None])[:, 0])
            entropies.append(entropy_of(logprobs, probabilities))
        entropy = torch.cat(entropies)
        # One chunk is kept; what would take more memory than that is computed again.
        kept = probabilities if len(spans) == 1 else None
        ctx.save_for_backward(hidden, weight, targets, banned, entropy, kept)
        return torch.cat(chosen), entropy

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, targets, banned, entropy, kept = ctx.saved_tensors
        spans, bias = _chunks(len(targets), weight.shape[0]), _ban(banned, hidden.dtype)
        wide = entropy.dtype
        grad_hidden = torch.empty_like(hidden)
        trained = ctx.needs_input_grad[1]
        grad_weight = torch.zeros(weight.shape, dtype=wide, device=weight.device) if trained else None
        for span in spans:
            probabilities = kept
            if probabilities is None:
                probabilities = torch.softmax(logits_of(hidden[span], weight, bias), dim=-1)
            of_logprobs, of_entropy = (None if grad is None else grad[span] for grad in grads)
            grad_logits = _grad_logits(probabilities, targets[span], entropy[span], of_logprobs, of_entropy)
            _add_gradients(grad_logits, hidden[span], weight, grad_hidden[span], grad_weight)
        return grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype), None, None


def _add_gradients(
    grad_logits: torch.Tensor,
    hidden: torch.Tensor,
    weight: torch.Tensor,
    grad_hidden: torch.Tensor,
    grad_weight: torch.Tensor | None,
) -> None:
    """Writes a chunk's [T, H] share of the hidden states' gradient, and adds its share of the weight's."""
    if hidden.is_cuda and hidden.dtype == torch.bfloat16:
        # Factors in bf16, sums in fp32: fp32 factors would do without the tensor cores.
        narrow = grad_logits.to(hidden.dtype)
        grad_hidden.copy_(torch.mm(narrow, weight))
        if grad_weight is not None:
            grad_weight += torch.mm(narrow.t(), hidden, out_dtype=torch.float32)
        return
    grad_hidden.copy_(torch.mm(grad_logits, weight.to(grad_logits.dtype)))
    if grad_weight is not None:
        grad_weight.addmm_(grad_logits.t(), hidden.to(grad_logits.dtype))


def _ban(banned: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What takes banned ids out of the softmax: finite, as 0 * inf would be NaN in the entropy."""
    wide = torch.float32 if dtype == torch.bfloat16 else dtype
    return torch.zeros(banned.shape, dtype=wide, device=banned.device).masked_fill_(banned, -1e30)


def _grad_logits(
    probabilities: torch.Tensor,
    targets: torch.Tensor,
    entropy: torch.Tensor,
    grad_logprobs: torch.Tensor | None,
    grad_entropy: torch.Tensor | None,
) -> torch.Tensor:
    if grad_logprobs is None:
        grad = torch.zeros_like(probabilities)
    else:
        grad = probabilities * -grad_logprobs[:, None]
        grad.scatter_add_(1, targets[:, None], grad_logprobs[:, None])
    if grad_entropy is not None:
        surprise = torch.xlogy(probabilities, probabilities) + probabilities * entropy[:, None]
        grad.addcmul_(surprise, grad_entropy[:, None], value=-1)
    return grad


def _chunks(tokens: int, vocabulary: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, size)]
