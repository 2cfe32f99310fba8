"""A step's metrics, computed by hand; metrics that do not apply are absent."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.support.fakes import make_response, make_stats
from vlm_uec.collector import Experience
from vlm_uec.telemetry.metrics import (
    experience_metrics,
    replay_metrics,
    sampled_tokens,
    step_metrics,
    update_metrics,
)
from vlm_uec.trainer import Retained, StepOutcome, Update
from vlm_uec.types import Response, Reward, Source, Trajectory


def _trajectory(
    problem_id: str,
    index: int,
    accuracy: float,
    numbers: list[float],
    *,
    source: Source = "regular",
    step: int = 5,
    truncated: bool = False,
) -> Trajectory:
    """Entropies are `numbers`, log-probs -2 times, kept masses a tenth of them."""
    values = torch.tensor(numbers)
    response = Response(
        problem_id=problem_id,
        index=index,
        source=source,
        tokens=torch.zeros(len(numbers), dtype=torch.int64),
        behaviour_logprobs=values,
        policy_logprobs=-2 * values,
        entropy=values,
        kept_mass=values / 10,
        truncated=truncated,
    )
    return Trajectory(response, Reward(0.8 * accuracy + 0.1, accuracy, 0.5, ""), 1.0, step)


EXPERIENCE = Experience(
    ("a", "b", "c"),
    regular=(
        _trajectory("a", 0, 1.0, [1.0, 2.0, 3.0]),
        _trajectory("b", 0, 0.0, [6.0], truncated=True),
        _trajectory("c", 0, 0.0, [4.0, 2.0]),
        _trajectory("c", 1, 0.0, [0.0, 0.0]),
    ),
    explored=(
        _trajectory("b", 2, 1.0, [90.0], source="exploration"),
        _trajectory("b", 3, 1.0, [90.0], source="exploration"),
        _trajectory("c", 2, 0.0, [90.0], source="exploration"),
    ),
)


def test_verdicts_are_counted_by_kind() -> None:
    """Two right, one wrong and one without an answer, of four regular responses."""
    kinds = ["right", "no_answer", "right", "wrong"]
    judged = [
        replace(t, reward=replace(t.reward, verdict=kind))
        for t, kind in zip(EXPERIENCE.regular, kinds, strict=True)
    ]
    values = experience_metrics(replace(EXPERIENCE, regular=tuple(judged)))
    shares = {name: value for name, value in values.items() if name.startswith("verdict/")}
    assert shares == {
        "verdict/right": 0.5,
        "verdict/wrong": 0.25,
        "verdict/unparsable": 0.0,
        "verdict/no_answer": 0.25,
    }


def test_rewards_entropy_and_lengths_are_of_regular_rollouts_only() -> None:
    """Entropies sum to 18 over 8 tokens: a mean over tokens, not over responses."""
    expected = {
        "reward/accuracy": 1 / 4,
        "reward/format": 0.5,
        "reward/total": (0.9 + 0.1 + 0.1 + 0.1) / 4,
        "entropy/exact": 18 / 8,
        "entropy/estimate": 2 * 18 / 8,
        "sampler/kept_mass": 1.8 / 8,
        "response_tokens/mean": 2.0,
        "response_tokens/max": 3,
        "truncated_fraction": 1 / 4,
        "uec/difficult_prompts": 2,
        "uec/rescued_prompts": 1,
        "uec/explored_responses": 3,
    }
    assert experience_metrics(EXPERIENCE) == pytest.approx(expected)


def test_the_mismatch_of_another_sampler_is_over_all_tokens() -> None:
    assert not [name for name in experience_metrics(EXPERIENCE) if "mismatch" in name]
    gaps = {("a", 0): [0.1, -0.3, 0.0], ("b", 2): [-0.6]}

    def sampled_elsewhere(trajectory: Trajectory) -> Trajectory:
        response = trajectory.response
        zeros = [0.0] * len(response.tokens)
        mismatch = torch.tensor(gaps.get((response.problem_id, response.index), zeros))
        return replace(trajectory, response=replace(response, mismatch=mismatch))

    experience = replace(
        EXPERIENCE,
        regular=tuple(map(sampled_elsewhere, EXPERIENCE.regular)),
        explored=tuple(map(sampled_elsewhere, EXPERIENCE.explored)),
    )
    values = experience_metrics(experience)
    assert values["sampler/mismatch_mean"] == pytest.approx(1.0 / 11)
    assert values["sampler/mismatch_max"] == pytest.approx(0.6)


FIRST = make_stats(
    policy_loss=0.5, kl_loss=0.1, kl=2.0, clipped_low=0.0, clipped_high=0.2, ratio_mean=1.0, ratio_max=3.0,
    grad_norm=2.0, covariance={"regular": 0.3, "exploration": -0.5}, trajectories=4,
)  # fmt: skip
SECOND = make_stats(
    policy_loss=-0.1, kl_loss=0.3, kl=4.0, clipped_low=0.1, clipped_high=0.0, ratio_mean=1.2, ratio_max=1.5,
    grad_norm=1.0, covariance={"regular": 0.1}, trajectories=3,
)  # fmt: skip
BOTH = {
    "loss/policy": 0.2,
    "loss/kl": 0.2,
    "kl/reference": 3.0,
    "clip_fraction/low": 0.05,
    "clip_fraction/high": 0.1,
    "ratio/mean": 1.1,
    "ratio/max": 3.0,
    "grad_norm": 1.5,
}


def test_an_update_is_the_mean_of_its_optimizer_steps() -> None:
    expected = {
        **BOTH,
        "update/optimizer_steps": 2,
        "update/trajectories": 7,
        "covariance/regular": 0.2,
        # Only one of the two mini-batches has exploration responses.
        "covariance/exploration": -0.5,
    }
    assert update_metrics([FIRST, SECOND]) == pytest.approx(expected)


def test_replay_does_not_overwrite_the_update() -> None:
    replay = make_stats(covariance={"replay": 0.7}, trajectories=8, grad_norm=4.0)
    values = replay_metrics([replay])
    assert values["covariance/replay"] == 0.7
    assert values["replay/grad_norm"] == 4.0
    assert values["replay/trajectories"] == 8
    assert not values.keys() & update_metrics([FIRST]).keys()


def test_a_step_without_updates_has_no_update_metrics() -> None:
    outcome = StepOutcome(EXPERIENCE, Retained((), 0, 0, 2), Update(), Update())
    values = step_metrics(5, outcome)
    assert values == {
        **experience_metrics(EXPERIENCE),
        "uec/retained_regular": 0,
        "uec/retained_exploration": 0,
        "uec/dropped_overlong": 2,
    }


def test_ages_are_mean_steps_since_sampling() -> None:
    trained = tuple(_trajectory("a", 0, 1.0, [1.0], step=step) for step in (5, 4, 3))
    replayed = tuple(_trajectory("a", 0, 1.0, [1.0], step=step) for step in (1, 2))
    outcome = StepOutcome(
        EXPERIENCE, Retained(trained, 2, 1, 0), Update(trained, (FIRST, SECOND)), Update(replayed, (SECOND,))
    )
    values = step_metrics(5, outcome)
    assert values["uec/trained_age"] == 1.0
    assert values["uec/replay_age"] == 3.5
    assert (values["uec/retained_regular"], values["uec/retained_exploration"]) == (2, 1)
    assert {name: values[name] for name in BOTH} == pytest.approx(BOTH)
    assert all(math.isfinite(value) for value in values.values())


def test_throughput_counts_a_prompt_with_each_of_its_responses() -> None:
    """10 + 3 and 10 + 1 for a, 7 + 2 for b: other trainers also count the prompt for each response."""
    trajectories = [
        Trajectory(make_response(name, 0, text="z" * length), Reward(0, 0, 0, ""), 0.0, 1)
        for name, length in (("a", 3), ("a", 1), ("b", 2))
    ]
    assert sampled_tokens(trajectories, {"a": 10, "b": 7}) == 33


def test_entropy_changes_of_updates_and_replays_are_separate() -> None:
    """Means over the optimizer steps with a measurement."""
    measured = [
        make_stats(entropy_change=-0.5, entropy_predicted=1.0),
        make_stats(entropy_change=0.25, entropy_predicted=3.0),
        make_stats(entropy_change=None, entropy_predicted=None),
    ]
    update, replay = update_metrics(measured), replay_metrics(measured)
    assert (update["update/entropy_change"], update["update/entropy_predicted"]) == (-0.125, 2.0)
    assert (replay["replay/entropy_change"], replay["replay/entropy_predicted"]) == (-0.125, 2.0)
    assert "update/entropy_change" not in update_metrics(measured[2:])
