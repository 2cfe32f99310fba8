"""Per-token losses: values and gradients against tables computed by hand, in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.algorithm.kl import KL_ESTIMATORS, token_kl
from vlm_uec.algorithm.losses import SurrogateTerms, clipped_surrogate
from vlm_uec.algorithm.weights import token_weights, truncated_importance_weights

LN2 = math.log(2)


def tensor(*values: float, grad: bool = False) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def surrogate(ratio: float, advantage: float, **clips: Any) -> tuple[SurrogateTerms, float]:
    """The terms of one token and the gradient of its loss to its log-prob."""
    clips = {"clip_low": 0.2, "clip_high": 0.28, "dual_clip": 3.0} | clips
    old = tensor(-1.0)
    logprobs = tensor(-1.0 + math.log(ratio), grad=True)
    terms = clipped_surrogate(logprobs, old, tensor(advantage), **clips)
    (gradient,) = torch.autograd.grad(terms.loss.sum(), logprobs)
    return terms, gradient.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient", "low", "high"),
    [
        # Inside the clip: loss -r A, and d exp(l - old) / dl = r, so the gradient is -r A as well.
        (1.1, 2.0, -2.2, -2.2, False, False),
        (0.9, -2.0, 1.8, 1.8, False, False),
        # A > 0 above 1.28: max(-1.5 * 2, -1.28 * 2) = -2.56, constant.
        (1.5, 2.0, -2.56, 0.0, False, True),
        # A > 0 below 0.8: max(-0.5 * 2, -0.8 * 2) = -1, the unclipped side.
        (0.5, 2.0, -1.0, -1.0, False, False),
        # A < 0 below 0.8: max(0.5 * 2, 0.8 * 2) = 1.6, constant.
        (0.5, -2.0, 1.6, 0.0, True, False),
        # A < 0 above 1.28: max(1.5 * 2, 1.28 * 2) = 3, under the dual clip 3 * 2 = 6.
        (1.5, -2.0, 3.0, 3.0, False, False),
        # A < 0 far above: max(4 * 2, 2.56) = 8, cut to 6 by the dual clip.
        (4.0, -2.0, 6.0, 0.0, False, False),
        # The dual clip never touches A > 0: max(-8, -2.56).
        (4.0, 2.0, -2.56, 0.0, False, True),
        # Nothing is clipped if the advantage is zero.
        (1.5, 0.0, 0.0, 0.0, False, False),
        (0.5, 0.0, 0.0, 0.0, False, False),
    ],
)
def test_surrogate_table(
    ratio: float, advantage: float, loss: float, gradient: float, low: bool, high: bool
) -> None:
    terms, actual_gradient = surrogate(ratio, advantage)
    assert terms.loss.item() == pytest.approx(loss)
    assert actual_gradient == pytest.approx(gradient)
    assert terms.ratio.item() == pytest.approx(ratio)
    assert not terms.ratio.requires_grad
    assert (terms.clipped_low.item(), terms.clipped_high.item()) == (low, high)


def test_without_dual_clip_a_negative_advantage_is_unbounded() -> None:
    terms, gradient = surrogate(4.0, -2.0, dual_clip=None)
    assert (terms.loss.item(), gradient) == pytest.approx((8.0, 8.0))


def test_each_bound_of_the_clip_works() -> None:
    assert surrogate(1.5, 2.0, clip_high=0.2)[0].loss.item() == pytest.approx(-2.4)
    assert surrogate(1.5, 2.0, clip_high=0.6)[0].loss.item() == pytest.approx(-3.0)
    assert surrogate(0.5, -2.0, clip_low=0.4)[0].loss.item() == pytest.approx(1.2)
    assert surrogate(0.5, -2.0, clip_low=0.6)[0].loss.item() == pytest.approx(1.0)


@pytest.mark.parametrize("dual_clip", [1.0, 0.5])
def test_a_dual_clip_that_removes_all_gradient_is_an_error(dual_clip: float) -> None:
    with pytest.raises(ValueError, match="dual_clip"):
        surrogate(1.0, 1.0, dual_clip=dual_clip)


@pytest.mark.parametrize("advantage", [0.0, 1.0, -1.0])
@pytest.mark.parametrize("gap", [1000.0, -1000.0])
def test_extreme_log_ratios_stay_finite(advantage: float, gap: float) -> None:
    logprobs = torch.tensor([gap], requires_grad=True)
    terms = clipped_surrogate(
        logprobs, torch.zeros(1), torch.tensor([advantage]), clip_low=0.2, clip_high=0.2, dual_clip=None
    )
    (gradient,) = torch.autograd.grad(terms.loss.sum(), logprobs)
    assert torch.isfinite(terms.loss).all()
    assert torch.isfinite(gradient).all()


@given(st.floats(-4, 4), st.floats(0.01, 0.9), st.floats(0.01, 5), st.none() | st.floats(1.1, 5))
def test_ratio_one_is_the_plain_policy_gradient(
    advantage: float, low: float, high: float, dual: float | None
) -> None:
    terms, gradient = surrogate(1.0, advantage, clip_low=low, clip_high=high, dual_clip=dual)
    assert terms.loss.item() == -advantage
    assert gradient == pytest.approx(-advantage)
    assert not terms.clipped_low.any() and not terms.clipped_high.any()


@given(st.floats(0.05, 6), st.floats(-4, 4))
def test_clipping_is_pessimistic_and_the_masks_match_it(ratio: float, advantage: float) -> None:
    terms, _ = surrogate(ratio, advantage, dual_clip=None)
    unclipped = -terms.ratio.item() * advantage
    clipped = bool(terms.clipped_low.item() or terms.clipped_high.item())
    assert terms.loss.item() >= unclipped
    assert clipped == (terms.loss.item() > unclipped)


@given(st.floats(0.05, 20), st.floats(-4, -0.01))
def test_dual_clip_bounds_the_loss(ratio: float, advantage: float) -> None:
    terms, _ = surrogate(ratio, advantage)
    assert terms.loss.item() <= -3 * advantage


@pytest.mark.parametrize(
    ("name", "value", "gradient"),
    [
        # p = 0.2, ref = 0.1: log(p / ref) = ln 2, r = -ln 2, exp(r) = 1 / 2.
        ("k1", LN2, 1.0),
        ("k2", LN2**2 / 2, LN2),
        ("k3", 0.5 + LN2 - 1, 0.5),  # gradient 1 - exp(r)
    ],
)
def test_kl_table(name: str, value: float, gradient: float) -> None:
    logprobs = tensor(math.log(0.2), grad=True)
    kl = KL_ESTIMATORS[name](logprobs, tensor(math.log(0.1)))
    (actual_gradient,) = torch.autograd.grad(kl.sum(), logprobs)
    assert kl.item() == pytest.approx(value)
    assert actual_gradient.item() == pytest.approx(gradient)


@pytest.mark.parametrize("name", ["k1", "k3"])
def test_unbiased_estimators_average_to_the_kl(name: str) -> None:
    policy, reference = tensor(0.5, 0.25, 0.25), tensor(0.25, 0.25, 0.5)
    # 0.5 ln 2 + 0.25 ln 1 + 0.25 ln 0.5 = 0.25 ln 2
    expected = 0.25 * LN2
    estimates = KL_ESTIMATORS[name](policy.log(), reference.log())
    assert (policy * estimates).sum().item() == pytest.approx(expected)


@given(st.floats(-15, 0), st.floats(-15, 0))
def test_k3_is_zero_only_where_equal(logprob: float, reference: float) -> None:
    k3 = KL_ESTIMATORS["k3"]
    value = k3(tensor(logprob), tensor(reference)).item()
    assert value >= -1e-15
    assert k3(tensor(logprob), tensor(logprob)).item() == 0.0
    if abs(logprob - reference) > 1e-6:
        assert value > 0


def test_k3_is_precise_near_the_reference() -> None:
    # r = 1e-4: r^2 / 2 = 5e-9, which exp(r) - r - 1 in float32 loses completely.
    kl = KL_ESTIMATORS["k3"](torch.tensor([0.0]), torch.tensor([1e-4]))
    assert kl.item() == pytest.approx(5e-9, rel=0.01)


def test_k3_of_an_extreme_difference_is_finite() -> None:
    assert torch.isfinite(KL_ESTIMATORS["k3"](torch.tensor([-1000.0]), torch.tensor([0.0]))).all()


def test_truncated_importance_weights() -> None:
    old = tensor(math.log(0.4), math.log(0.1), math.log(0.2), grad=True)
    behaviour = tensor(*[math.log(0.2)] * 3)
    weights = truncated_importance_weights(old, behaviour, cap=1.5)
    assert weights.tolist() == pytest.approx([1.5, 0.5, 1.0])  # 0.4 / 0.2 = 2 is cut
    assert not weights.requires_grad


def test_token_weights_table() -> None:
    assert token_weights([2, 3, 5], "token_mean", 20) == pytest.approx([0.1, 0.1, 0.1])
    # 1 / (3 * 2), 1 / (3 * 3), 1 / (3 * 5)
    assert token_weights([2, 3, 5], "sequence_mean", 20) == pytest.approx([1 / 6, 1 / 9, 1 / 15])
    assert token_weights([2, 3, 5], "constant", 20) == pytest.approx([1 / 60, 1 / 60, 1 / 60])
    assert token_weights([], "token_mean", 20) == token_weights([], "sequence_mean", 20) == []


def test_weighted_sums_equal_the_means() -> None:
    losses = [[1.0, 3.0], [5.0]]

    def weighted(aggregation: Any) -> float:
        weights = token_weights([2, 1], aggregation, limit=4)
        return sum(weight * sum(tokens) for weight, tokens in zip(weights, losses, strict=True))

    assert weighted("token_mean") == pytest.approx(3.0)  # (1 + 3 + 5) / 3
    assert weighted("sequence_mean") == pytest.approx(3.5)  # ((1 + 3) / 2 + 5) / 2
    assert weighted("constant") == pytest.approx(1.125)  # ((1 + 3) / 4 + 5 / 4) / 2


@given(st.lists(st.integers(1, 4096), min_size=1, max_size=40))
def test_token_weights_sum_to_one(lengths: list[int]) -> None:
    for aggregation in ("token_mean", "sequence_mean"):
        weights = token_weights(lengths, aggregation, limit=4096)
        assert sum(w * n for w, n in zip(weights, lengths, strict=True)) == pytest.approx(1.0)


def test_invalid_arguments_of_token_weights_are_errors() -> None:
    with pytest.raises(ValueError, match="trajectory 1 has 0 tokens"):
        token_weights([3, 0], "token_mean", 4)
    with pytest.raises(ValueError, match="'sum'"):
        token_weights([3], "sum", 4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("log_ratio", "maximum", "value", "gradient"),
    [
        # k3 = e^r - r - 1 with r = log(ref / p); its gradient by log p is 1 - e^r.
        (5.0, None, 142.413, -147.413),
        (8.0, None, 2971.96, -2979.96),
        (5.0, 10.0, 10.0, 0.0),
        (8.0, 10.0, 10.0, 0.0),
        (2.0, 10.0, 4.38906, -6.38906),  # below the clamp: unchanged
        (2.5, 10.0, 8.68249, -11.18249),
        (-8.0, 10.0, 7.000335, 0.9996645),
    ],
)
def test_clamped_k3(log_ratio: float, maximum: float | None, value: float, gradient: float) -> None:
    logprobs = tensor(-9.0, grad=True)
    kl = token_kl(logprobs, tensor(-9.0 + log_ratio), "k3", maximum)
    (actual_gradient,) = torch.autograd.grad(kl.sum(), logprobs)
    assert kl.item() == pytest.approx(value, rel=1e-5)
    assert actual_gradient.item() == pytest.approx(gradient, rel=1e-5)


def test_the_clamp_has_two_sides() -> None:
    """k1 may be negative."""
    kl = token_kl(tensor(-20.0, -1.0, -1.0), tensor(-1.0, -20.0, -3.0), "k1", 10.0)
    assert kl.tolist() == [-10.0, 10.0, 2.0]
