"""Log-probs and exact entropy of scored tokens without [T, V] logits in memory.

The head processes the T positions in chunks and keeps only log-probs and entropies; backward recomputes
each chunk's logits. Gradients are accumulated in fp32: rounding each chunk's contribution to bf16 lowers the
entropy over tens of steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

CHUNK_ELEMENTS = 1 << 25  # logits in memory at a time: 128 MiB of fp32
# On a GPU each chunk also reads and writes the weight's fp32 gradient, so larger chunks move fewer bytes.
GPU_CHUNK_ELEMENTS = 1 << 28  # 1 GiB of fp32


def compute_logits(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Logits [T, V] of hidden states [T, H], in fp32 for any precision of the weights (fp64 stays fp64).

    `bias` [V] has the logits' precision.
    """
    if hidden.is_cuda and hidden.dtype == torch.bfloat16:
        logits = torch.mm(hidden, weight.t(), out_dtype=torch.float32)
        return logits if bias is None else logits.add_(bias)
    if hidden.dtype == torch.bfloat16:
        hidden, weight = hidden.float(), weight.float()
    return torch.mm(hidden, weight.t()) if bias is None else torch.addmm(bias, hidden, weight.t())


def log_softmax_allowed(logits: torch.Tensor, banned: torch.Tensor) -> torch.Tensor:
    """Log-probs [T, V] at t = 1 over the allowed ids; banned ids ([V] bool) have about -1e30."""
    return torch.log_softmax(logits + _ban_bias(banned, logits.dtype), dim=-1)


def exact_entropy(logprobs: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Exact entropy [T], in nats, of finite log-probs [T, V] and their exponentials."""
    return -torch.linalg.vecdot(probabilities, logprobs)


class LogProbHead(nn.Module):
    """Scores tokens with the language-model head, in one call per pass: ZeRO-3 gathers by module."""

    banned: torch.Tensor

    def __init__(self, weight: nn.Parameter, banned: torch.Tensor) -> None:
        """`weight` [V, H], shared with the model's own head; `banned` [V] bool."""
        super().__init__()
        self.weight = weight
        # DeepSpeed does not move the buffers of a model that was loaded in shards.
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
        spans, bias = _chunks(hidden, weight), _ban_bias(banned, hidden.dtype)
        chosen, entropies = [], []
        probabilities = None
        for span in spans:
            logprobs = torch.log_softmax(compute_logits(hidden[span], weight, bias), dim=-1)
            probabilities = logprobs.exp()
            chosen.append(logprobs.gather(1, targets[span, None])[:, 0])
            entropies.append(exact_entropy(logprobs, probabilities))
        entropy = torch.cat(entropies)
        # A single chunk is kept for backward; several chunks would need too much memory.
        saved = probabilities if len(spans) == 1 else None
        ctx.save_for_backward(hidden, weight, targets, banned, entropy, saved)
        return torch.cat(chosen), entropy

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, targets, banned, entropy, saved = ctx.saved_tensors
        spans, bias = _chunks(hidden, weight), _ban_bias(banned, hidden.dtype)
        accumulation_dtype = entropy.dtype
        grad_hidden = torch.empty_like(hidden)
        grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = torch.zeros(weight.shape, dtype=accumulation_dtype, device=weight.device)
        for span in spans:
            probabilities = saved
            if probabilities is None:
                probabilities = torch.softmax(compute_logits(hidden[span], weight, bias), dim=-1)
            grad_logprobs, grad_entropy = (None if grad is None else grad[span] for grad in grads)
            grad_logits = _grad_logits(
                probabilities, targets[span], entropy[span], grad_logprobs, grad_entropy
            )
            _add_gradients(grad_logits, hidden[span], weight, grad_hidden[span], grad_weight)
        return grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype), None, None


def _add_gradients(
    grad_logits: torch.Tensor,
    hidden: torch.Tensor,
    weight: torch.Tensor,
    grad_hidden: torch.Tensor,
    grad_weight: torch.Tensor | None,
) -> None:
    """Writes a chunk's gradient [T, H] of the hidden states, and adds its gradient of the weight."""
    if hidden.is_cuda and hidden.dtype == torch.bfloat16:
        # Factors in bf16, sums in fp32: fp32 factors would not use the tensor cores.
        grad_bf16 = grad_logits.to(hidden.dtype)
        grad_hidden.copy_(torch.mm(grad_bf16, weight))
        if grad_weight is not None:
            # The product adds to the gradient itself, which is 1.2 GB for the 3B model.
            torch.addmm(grad_weight, grad_bf16.t(), hidden, out_dtype=torch.float32, out=grad_weight)
        return
    grad_hidden.copy_(torch.mm(grad_logits, weight.to(grad_logits.dtype)))
    if grad_weight is not None:
        grad_weight.addmm_(grad_logits.t(), hidden.to(grad_logits.dtype))


def _ban_bias(banned: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Logit bias [V] that excludes banned ids; finite, because 0 * inf would make the entropy NaN."""
    bias_dtype = torch.float32 if dtype == torch.bfloat16 else dtype
    return torch.zeros(banned.shape, dtype=bias_dtype, device=banned.device).masked_fill_(banned, -1e30)


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


def _chunks(hidden: torch.Tensor, weight: torch.Tensor) -> list[slice]:
    elements = GPU_CHUNK_ELEMENTS if hidden.is_cuda else CHUNK_ELEMENTS
    size, tokens = max(1, elements // weight.shape[0]), len(hidden)
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, size)]
