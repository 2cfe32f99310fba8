from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vlm_uec.model import head as head_module
from vlm_uec.model.head import LogProbHead, compute_logits, exact_entropy, log_softmax_allowed

TOKENS, HIDDEN, VOCABULARY = 7, 5, 11
BANNED = torch.zeros(VOCABULARY, dtype=torch.bool)
BANNED[[0, 4, 10]] = True


def _inputs(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, nn.Parameter, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(TOKENS, HIDDEN, generator=generator, dtype=dtype)
    weight = nn.Parameter(torch.randn(VOCABULARY, HIDDEN, generator=generator, dtype=dtype))
    targets = torch.tensor([1, 2, 3, 5, 9, 1, 8])
    return hidden.requires_grad_(), weight, targets


def _reference(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax over the allowed columns only."""
    allowed = (~BANNED).nonzero()[:, 0]
    probabilities = torch.softmax(hidden @ weight[allowed].t(), dim=-1)
    column = torch.stack([(allowed == target).nonzero()[0, 0] for target in targets])
    chosen = probabilities[torch.arange(len(targets)), column].log()
    return chosen, -(probabilities * probabilities.log()).sum(dim=-1)


def test_hand_computed_logprob_and_entropy() -> None:
    """Logits ln 1, ln 2, ln 5 and one banned: probabilities 1/8, 2/8, 5/8."""
    logits = torch.tensor([[0.0, math.log(2), math.log(5), 40.0]])
    banned = torch.tensor([False, False, False, True])
    logprobs = log_softmax_allowed(logits, banned)
    assert logprobs[0, :3].exp().tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert logprobs[0, 3].exp() == 0
    entropy = math.log(8) - (2 * math.log(2) + 5 * math.log(5)) / 8
    assert exact_entropy(logprobs, logprobs.exp()).item() == pytest.approx(entropy)


def test_a_certain_token_has_zero_entropy() -> None:
    logprobs = log_softmax_allowed(
        torch.tensor([[0.0, 5.0, -200.0]]), banned=torch.tensor([False, True, False])
    )
    assert exact_entropy(logprobs, logprobs.exp()).tolist() == [0.0]


def test_scores_equal_the_full_softmax() -> None:
    hidden, weight, targets = _inputs()
    logprobs, entropy = LogProbHead(weight, BANNED)(hidden, targets)
    expected_logprobs, expected_entropy = _reference(hidden, weight, targets)
    torch.testing.assert_close(logprobs, expected_logprobs, rtol=0, atol=1e-12)
    torch.testing.assert_close(entropy, expected_entropy, rtol=0, atol=1e-12)


def test_gradients_of_both_outputs_equal_autograd() -> None:
    hidden, weight, targets = _inputs()
    generator = torch.Generator().manual_seed(1)
    factors = torch.randn(2, TOKENS, generator=generator, dtype=torch.float64)

    def gradients(outputs: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        loss = (outputs[0] * factors[0] + outputs[1] * factors[1]).sum()
        return torch.autograd.grad(loss, [hidden, weight])

    actual = gradients(LogProbHead(weight, BANNED)(hidden, targets))
    torch.testing.assert_close(actual, gradients(_reference(hidden, weight, targets)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("output", [0, 1], ids=["log-probs", "entropy"])
def test_gradcheck(output: int) -> None:
    hidden, weight, targets = _inputs()
    assert torch.autograd.gradcheck(
        lambda states, matrix: head_module._ScoreTokens.apply(states, matrix, targets, BANNED)[output],
        (hidden, weight),
    )


def test_an_unused_output_adds_no_gradient() -> None:
    hidden, weight, targets = _inputs()
    logprobs, entropy = LogProbHead(weight, BANNED)(hidden, targets)
    from_logprobs = torch.autograd.grad(logprobs.sum(), hidden, retain_graph=True)[0]
    both = torch.autograd.grad(logprobs.sum() + 0.0 * entropy.sum(), hidden)[0]
    torch.testing.assert_close(from_logprobs, both)


def test_weights_of_banned_ids_get_no_gradient() -> None:
    hidden, weight, targets = _inputs()
    logprobs, entropy = LogProbHead(weight, BANNED)(hidden, targets)
    (logprobs.sum() + entropy.sum()).backward()
    assert weight.grad is not None
    assert (weight.grad[BANNED] == 0).all()
    assert (weight.grad[~BANNED] != 0).any(dim=1).all()


@pytest.mark.parametrize("elements", [1, VOCABULARY, 2 * VOCABULARY, 3 * VOCABULARY + 1, 7 * VOCABULARY])
def test_chunking_changes_nothing(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one row, of several rows with a remainder, and of all rows."""

    def run() -> list[torch.Tensor]:
        hidden, weight, targets = _inputs()
        logprobs, entropy = LogProbHead(weight, BANNED)(hidden, targets)
        return [logprobs, entropy, *torch.autograd.grad((logprobs + 2 * entropy).sum(), [hidden, weight])]

    unchunked = run()
    monkeypatch.setattr(head_module, "CHUNK_ELEMENTS", elements)
    torch.testing.assert_close(run(), unchunked, rtol=1e-12, atol=1e-12)


def test_logits_of_only_one_chunk_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_module, "CHUNK_ELEMENTS", 3 * VOCABULARY)
    rows: list[int] = []

    def counting(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        rows.append(len(hidden))
        return compute_logits(hidden, weight, bias)

    monkeypatch.setattr(head_module, "compute_logits", counting)
    hidden, weight, targets = _inputs()
    logprobs, _ = LogProbHead(weight, BANNED)(hidden, targets)
    logprobs.sum().backward()
    assert rows == [3, 3, 1] * 2  # forward, then recomputed in backward


def test_half_precision_weights_are_scored_and_accumulated_in_single_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """600 chunks of one token: their fp32 sum is rounded once; a bf16 sum would be inaccurate."""
    monkeypatch.setattr(head_module, "CHUNK_ELEMENTS", 1)
    generator = torch.Generator().manual_seed(2)
    states = torch.randn(600, HIDDEN, generator=generator).bfloat16().requires_grad_()
    weight = nn.Parameter(torch.randn(VOCABULARY, HIDDEN, generator=generator).bfloat16())
    targets = torch.full((600,), 3)
    logprobs, entropy = LogProbHead(weight, BANNED)(states, targets)
    assert logprobs.dtype == entropy.dtype == torch.float32
    actual = torch.autograd.grad((logprobs + entropy).sum(), [states, weight])
    wide = [states.detach().float().requires_grad_(), weight.detach().float().requires_grad_()]
    expected_logprobs, expected_entropy = _reference(wide[0], wide[1], targets)
    torch.testing.assert_close(logprobs, expected_logprobs, rtol=0, atol=1e-5)
    expected = torch.autograd.grad((expected_logprobs + expected_entropy).sum(), wide)
    for gradient, reference in zip(actual, expected, strict=True):
        assert gradient.dtype == torch.bfloat16
        torch.testing.assert_close(gradient.float(), reference, rtol=2**-8, atol=1e-4)
