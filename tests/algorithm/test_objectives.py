"""All objectives against tables computed by hand, in float64."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.algorithm.advantages import group_advantages
from vlm_uec.algorithm.losses import (
    SurrogateTerms,
    clipped_surrogate,
    clipped_weight,
    covariance_penalty,
    covariance_selection,
    entropy_bonus,
    sequence_surrogate,
    soft_gate,
    unclipped_surrogate,
)
from vlm_uec.algorithm.objectives import (
    OBJECTIVES,
    Objective,
    TokenLoss,
    algorithm_names,
    loss_names,
    token_loss,
)
from vlm_uec.algorithm.overlong import overlong_penalty
from vlm_uec.config import load_config
from vlm_uec.config.docs import config_page
from vlm_uec.config.fields import config_keys
from vlm_uec.config.schema import Config
from vlm_uec.errors import UserError
from vlm_uec.update.learner import Learner, PromptTable, _TokenTerms
from vlm_uec.update.microbatches import PassBudget

RECIPE = Path(__file__).parents[2] / "configs" / "tiny_cpu.yaml"


def _tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _new(old: torch.Tensor, ratios: tuple[float, ...]) -> torch.Tensor:
    return (old + _tensor(*map(math.log, ratios))).requires_grad_()


def _gradient(terms: SurrogateTerms, logprobs: torch.Tensor) -> list[float]:
    return [float(value) for value in torch.autograd.grad(terms.loss.sum(), logprobs)[0]]


def test_gspo_clips_responses_by_their_mean_ratio() -> None:
    """First response: ratios 2 and 0.5, geometric mean 1, inside the clip although both tokens are outside:
    s A = 1 * 2 per token. Second: 1.21 and 1, mean ratio 1.1, above 1 + 0.05 with A > 0: constant 1.05."""
    old = _tensor(-1.0, -2.0, -1.5, -0.5)
    logprobs = _new(old, (2.0, 0.5, 1.21, 1.0))
    terms = sequence_surrogate(logprobs, old, _tensor(2, 2, 1, 1), (2, 2), clip_low=0.05, clip_high=0.05)
    assert terms.ratio.tolist() == pytest.approx([1.0, 1.0, 1.1, 1.1])
    assert terms.loss.tolist() == pytest.approx([-2.0, -2.0, -1.05, -1.05])
    assert _gradient(terms, logprobs) == pytest.approx([-2.0, -2.0, 0.0, 0.0])
    assert terms.clipped_high.tolist() == [False, False, True, True]
    assert not terms.clipped_low.any()


def test_gspo_of_negative_advantages() -> None:
    """Mean ratio 0.9 below 1 - 0.05: max(0.9, 0.95) = 0.95, constant."""
    old = _tensor(-1.0, -1.0)
    logprobs = _new(old, (0.81, 1.0))
    terms = sequence_surrogate(logprobs, old, _tensor(-1, -1), (2,), clip_low=0.05, clip_high=0.05)
    assert terms.loss.tolist() == pytest.approx([0.95, 0.95])
    assert _gradient(terms, logprobs) == [0.0, 0.0]
    assert terms.clipped_low.all()


def test_gspo_requires_lengths_that_sum_to_all_tokens() -> None:
    with pytest.raises(ValueError, match="3 tokens in total, but 2 log-probs"):
        sequence_surrogate(_tensor(0, 0), _tensor(0, 0), _tensor(1, 1), (3,), clip_low=0.1, clip_high=0.1)


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=8), st.floats(-2, 2))
def test_gspo_of_responses_of_one_token_is_ppo(log_ratios: list[float], advantage: float) -> None:
    old = torch.full((len(log_ratios),), -1.0, dtype=torch.float64)
    advantages = torch.full_like(old, advantage)
    results = []
    for objective in ("sequence", "token"):
        logprobs = (old + _tensor(*log_ratios)).requires_grad_()
        if objective == "sequence":
            lengths = [1] * len(log_ratios)
            terms = sequence_surrogate(logprobs, old, advantages, lengths, clip_low=0.2, clip_high=0.3)
        else:
            terms = clipped_surrogate(logprobs, old, advantages, clip_low=0.2, clip_high=0.3, dual_clip=None)
        results.append((terms.loss.tolist(), _gradient(terms, logprobs)))
    assert results[0][0] == pytest.approx(results[1][0])
    assert results[0][1] == pytest.approx(results[1][1])


@pytest.mark.parametrize(
    ("ratio", "advantage", "weight", "low", "high"),
    [
        (1.0, 2.0, 1.0, False, False),
        (1.2, 2.0, 1.2, False, False),
        (3.0, 2.0, 1.28, False, True),  # the weight is clipped, the token is not dropped
        (3.0, -1.0, 1.28, False, True),  # also for a negative advantage
        (0.1, 2.0, 0.5, True, False),
    ],
)
def test_cispo_clips_the_weight_and_keeps_the_gradient(
    ratio: float, advantage: float, weight: float, low: bool, high: bool
) -> None:
    old = _tensor(-1.0)
    logprobs = _new(old, (ratio,))
    terms = clipped_weight(logprobs, old, _tensor(advantage), clip_low=0.5, clip_high=0.28)
    assert _gradient(terms, logprobs) == pytest.approx([-weight * advantage])
    assert terms.loss.item() == pytest.approx(-weight * advantage * (-1.0 + math.log(ratio)))
    assert (terms.clipped_low.item(), terms.clipped_high.item()) == (low, high)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        # At 1: f = 4 / tau * 1/2; its gradient is 1 for any tau.
        (1.0, 2.0, -2 * 2.0, -2.0),
        (1.0, -2.0, 2 / 2 * 2.0, 2.0),
        # tau 1 at 2: f = 4 sigmoid(1) = 2.924234..., f' = 4 s (1 - s) = 0.786448..., times r.
        (2.0, 1.0, -2.9242343145200196, -2 * 0.7864477329659276),
        # tau 2 at 2, A < 0: f = 2 sigmoid(2) = 1.761594..., f' = 4 s (1 - s) = 0.419974..., times r.
        (2.0, -1.0, 1.7615941559557649, 2 * 0.41997434161402614),
    ],
)
def test_sapo_gradient_decays_smoothly(ratio: float, advantage: float, loss: float, gradient: float) -> None:
    old = _tensor(-1.0)
    logprobs = _new(old, (ratio,))
    terms = soft_gate(logprobs, old, _tensor(advantage), tau_positive=1.0, tau_negative=2.0)
    assert terms.loss.item() == pytest.approx(loss)
    assert _gradient(terms, logprobs) == pytest.approx([gradient])
    assert not (terms.clipped_low.any() or terms.clipped_high.any())


@pytest.mark.parametrize(("ratio", "advantage"), [(1.0, 2.0), (5.0, 2.0), (0.1, -1.0), (9.0, -1.0)])
def test_unclipped_gradient_is_unbounded(ratio: float, advantage: float) -> None:
    """-r A; its gradient in log p is the same."""
    old = _tensor(-1.0)
    logprobs = _new(old, (ratio,))
    terms = unclipped_surrogate(logprobs, old, _tensor(advantage))
    assert terms.loss.item() == pytest.approx(-ratio * advantage)
    assert _gradient(terms, logprobs) == pytest.approx([-ratio * advantage])
    assert not (terms.clipped_low.any() or terms.clipped_high.any())


def test_kl_cov_penalty_pulls_selected_tokens_to_the_old_policy_from_both_sides() -> None:
    """2 |0.5|, 2 |-0.25| and 0; gradients of 2 towards the old policy."""
    old = _tensor(-1.0, -1.0, -1.0)
    logprobs = (old + _tensor(0.5, -0.25, 3.0)).requires_grad_()
    penalty = covariance_penalty(logprobs, old, torch.tensor([True, True, False]), 2.0)
    assert penalty.tolist() == [1.0, 0.5, 0.0]
    assert torch.autograd.grad(penalty.sum(), logprobs)[0].tolist() == [2.0, -2.0, 0.0]


def test_entropy_bonus_decreases_with_entropy() -> None:
    entropy = _tensor(0.0, 0.5, 2.0).requires_grad_()
    bonus = entropy_bonus(entropy, 0.1)
    assert bonus.tolist() == pytest.approx([0.0, -0.05, -0.2])
    assert torch.autograd.grad(bonus.sum(), entropy)[0].tolist() == pytest.approx([-0.1] * 3)


@pytest.mark.parametrize("advantage", [1.5, -0.7])
def test_every_objective_is_the_policy_gradient_on_policy(advantage: float) -> None:
    """d loss / d log p = -A at a ratio of 1: the objectives differ only off-policy."""
    old = _tensor(-1.0, -0.3, -2.0)
    advantages = torch.full_like(old, advantage)
    for compute_terms in (
        lambda new: sequence_surrogate(new, old, advantages, (1, 2), clip_low=3e-4, clip_high=4e-4),
        lambda new: clipped_weight(new, old, advantages, clip_low=1.0, clip_high=0.28),
        lambda new: soft_gate(new, old, advantages, tau_positive=1.0, tau_negative=1.05),
        lambda new: clipped_surrogate(new, old, advantages, clip_low=0.2, clip_high=0.28, dual_clip=3.0),
        lambda new: unclipped_surrogate(new, old, advantages),
    ):
        logprobs = old.clone().requires_grad_()
        assert _gradient(compute_terms(logprobs), logprobs) == pytest.approx([-advantage] * 3)


def test_covariance_selection_takes_the_largest_covariances() -> None:
    """Means -2 and 0: covariances 2, -2, 0, 0."""
    logprobs, advantages = _tensor(0.0, -4.0, -2.0, -2.0), _tensor(1.0, 1.0, -1.0, -1.0)
    assert covariance_selection(logprobs, advantages, 0.25).tolist() == [True, False, False, False]
    assert covariance_selection(logprobs, advantages, 0.75).tolist() == [True, False, True, True]
    assert covariance_selection(logprobs, advantages, 1e-9).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("length", "penalty"), [(1, 0.0), (80, 0.0), (85, -0.25), (90, -0.5), (100, -1.0), (120, -1.0)]
)
def test_soft_overlong_punishment(length: int, penalty: float) -> None:
    assert overlong_penalty(length, limit=100, buffer=20) == penalty


def test_dapo_s_length_penalty_on_rewards_of_0_and_1_gives_dapo_s_advantages() -> None:
    """Two right but long, two wrong and short, one wrong and long. DAPO's rewards are -1 or 1, minus 1 if
    long: 0, 0, -1, -1, -2, with mean -0.8 and sample variance (2 * 0.64 + 2 * 0.04 + 1.44) / 4 = 0.7. Ours
    are half of that plus 0.5, which changes no advantage: 0.8, -0.2 and -1.2 over sqrt(0.7)."""
    config = load_config(RECIPE, ["algorithm=dapo", "rollout.max_tokens=100"])
    assert config.reward.overlong_buffer == 0.2
    answers = [(1.0, 100), (1.0, 100), (0.0, 10), (0.0, 80), (0.0, 100)]
    rewards = [
        right + config.reward.overlong_penalty * overlong_penalty(length, limit=100, buffer=0.2 * 100)
        for right, length in answers
    ]
    expected = [0.956, 0.956, -0.239, -0.239, -1.434]
    assert group_advantages(rewards) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("buffer", [0, -1, 101])
def test_a_buffer_outside_the_limit_is_rejected(buffer: float) -> None:
    with pytest.raises(ValueError, match="0 < buffer <= limit"):
        overlong_penalty(10, limit=100, buffer=buffer)


def _toy_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, *, tau_positive: float
) -> SurrogateTerms:
    none_clipped = torch.zeros_like(advantages, dtype=torch.bool)
    ratio = torch.ones_like(logprobs)
    return SurrogateTerms(tau_positive * logprobs * advantages, ratio, none_clipped, none_clipped)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An objective that is only added to the table."""
    loss = TokenLoss("toy_loss", _toy_loss, ("tau_positive",))
    row = Objective(loss, "a test", preset={"loss": {"tau_positive": 3.0}, "pending": {"enabled": True}})
    monkeypatch.setitem(OBJECTIVES, "toy", row)


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(("algorithm", "uec"), [("toy", False), ("toy+uec", True)])
def test_a_new_row_of_the_table_is_an_algorithm(algorithm: str, uec: bool) -> None:
    config = load_config(RECIPE, [f"algorithm={algorithm}"])
    assert (config.loss.name, config.loss.tau_positive) == ("toy_loss", 3.0)
    assert (config.exploration.enabled, config.stabilizer.enabled, config.pending.enabled) == (uec, uec, True)
    # Other algorithms have the default of a key that only the new row sets.
    assert load_config(RECIPE, ["algorithm=grpo"]).loss.tau_positive == 1.0


@pytest.mark.usefixtures("toy")
def test_a_new_row_of_the_table_is_documented_and_listed_in_errors() -> None:
    page = config_page()
    settings = '`loss.name = "toy_loss"`, `loss.tau_positive = 3.0`, `pending.enabled = true`'
    assert f"| `toy` | {settings} |" in page
    assert config_keys(Config)["algorithm"].accepts.endswith('"toy" or "toy+uec"')
    assert config_keys(Config)["loss.name"].accepts.endswith('"unclipped" or "toy_loss"')
    with pytest.raises(
        UserError, match=r"algorithm = 'ppo': must be \"grpo\", \"uec\", .*\"toy\" or \"toy\+uec\""
    ):
        load_config(RECIPE, ["algorithm=ppo"])


@pytest.mark.usefixtures("toy")
def test_the_learner_uses_the_loss_of_a_new_row() -> None:
    config = load_config(RECIPE, ["algorithm=toy", "loss.kl_coef=0"])
    learner = Learner(
        cast(Any, None),
        None,
        PromptTable({}, cast(Any, None)),
        config.loss,
        minibatch=1,
        max_tokens=8,
        budget=PassBudget(8, lambda positions, why: None),
    )
    old, advantages = _tensor(-1.0, -2.0), _tensor(2.0, -0.5)
    terms = _TokenTerms(
        advantage=advantages,
        weight=torch.ones_like(old),
        old=old,
        behaviour=old,
        reference=None,
        explored=torch.zeros(2, dtype=torch.bool),
        selected=None,
        lengths=(2,),
    )
    surrogate, _ = learner._surrogate_and_kl(_tensor(-0.5, -3.0), terms)
    assert surrogate.loss.tolist() == [3.0 * -0.5 * 2.0, 3.0 * -3.0 * -0.5]


def test_an_objective_that_is_not_in_the_table_is_rejected() -> None:
    assert "toy_loss" not in loss_names()
    assert "toy" not in algorithm_names()
    with pytest.raises(ValueError, match="unknown loss 'toy_loss'; use one of grpo, gspo"):
        token_loss("toy_loss")
