"""The covariance is checked by enumerating a small softmax policy, where everything is exact."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.algorithm.entropy import covariance_terms, predicted_entropy_change

LN2 = math.log(2)


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def entropy_of(policy: torch.Tensor) -> torch.Tensor:
    return -(policy * policy.log()).sum()


def expected_terms(policy: torch.Tensor, advantages: torch.Tensor) -> float:
    """The mean of the terms over the policy's own samples, by enumeration."""
    terms = covariance_terms(policy.log(), entropy_of(policy).expand_as(policy), advantages)
    return (policy * terms).sum().item()


def textbook_covariance(policy: torch.Tensor, advantages: torch.Tensor) -> float:
    centred_logprobs = policy.log() - (policy * policy.log()).sum()
    centred_advantages = advantages - (policy * advantages).sum()
    return (policy * centred_logprobs * centred_advantages).sum().item()


def natural_gradient_step(policy: torch.Tensor, advantages: torch.Tensor, eta: float) -> torch.Tensor:
    """For a tabular softmax the natural gradient adds eta * A to the logits (Kakade 2001)."""
    return torch.softmax(policy.log() + eta * advantages, dim=0)


def test_terms_by_hand() -> None:
    # (-1 + 0.5) * 2 = -1; (-0.2 + 0.7) * -3 = -1.5; (-4 + 1) * 0 = 0
    terms = covariance_terms(tensor(-1.0, -0.2, -4.0), tensor(0.5, 0.7, 1.0), tensor(2.0, -3.0, 0.0))
    assert terms.tolist() == pytest.approx([-1.0, -1.5, 0.0])


def test_enumerated_by_hand() -> None:
    # log p = -(1, 2, 2) ln 2, so H = 1.5 ln 2 and log p + H = (0.5, -0.5, -0.5) ln 2.
    # 0.5 * 0.5 ln 2 * 1 + 0 + 0.25 * -0.5 ln 2 * -1 = 0.375 ln 2
    assert expected_terms(tensor(0.5, 0.25, 0.25), tensor(1.0, 0.0, -1.0)) == pytest.approx(0.375 * LN2)


def test_a_shared_advantage_has_a_covariance() -> None:
    # p = (0.5, 0.25, 0.25), H = 1.5 ln 2; both tokens have A = 2, and a plain batch covariance would be 0.
    entropy = tensor(1.5 * LN2)
    assert covariance_terms(tensor(-2 * LN2), entropy, tensor(2.0)).item() == pytest.approx(-LN2)  # unlikely
    assert covariance_terms(tensor(-LN2), entropy, tensor(2.0)).item() == pytest.approx(LN2)  # likely


@pytest.mark.parametrize("advantages", [(1.0, 0.0, -1.0, 0.5), (-2.0, 0.3, 1.5, 0.0), (0.0, 0.0, 0.0, 3.0)])
def test_predicts_a_natural_gradient_step_to_first_order(advantages: tuple[float, ...]) -> None:
    policy, gain = tensor(0.55, 0.25, 0.15, 0.05), tensor(*advantages)

    def prediction_error(eta: float) -> float:
        actual = entropy_of(natural_gradient_step(policy, gain, eta)) - entropy_of(policy)
        predicted = predicted_entropy_change(eta, expected_terms(policy, gain))
        assert actual.item() == pytest.approx(predicted, rel=50 * eta)
        return abs(actual.item() - predicted)

    # The error is of second order: half the step size gives a quarter of the error.
    assert prediction_error(1e-3) / prediction_error(5e-4) == pytest.approx(4.0, rel=0.02)


def test_unlikely_success_raises_entropy_and_likely_success_lowers_it() -> None:
    policy = tensor(0.9, 0.06, 0.04)
    unlikely, likely = (
        expected_terms(policy, tensor(0.0, 0.0, 1.0)),
        expected_terms(policy, tensor(1.0, 0.0, 0.0)),
    )
    assert predicted_entropy_change(0.1, unlikely) > 0 > predicted_entropy_change(0.1, likely)


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=2, max_size=8))
def test_mean_of_the_terms_is_the_covariance(members: list[tuple[float, float]]) -> None:
    policy = torch.softmax(tensor(*(logit for logit, _ in members)), dim=0)
    advantages = tensor(*(advantage for _, advantage in members))
    assert expected_terms(policy, advantages) == pytest.approx(
        textbook_covariance(policy, advantages), abs=1e-12
    )
