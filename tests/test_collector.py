"""A step's experience: which prompts are explored, and the indices and order of responses."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import (
    FakePolicy,
    ScriptedEngine,
    make_collector,
    make_config,
    make_trajectory,
    run_on_ranks,
)
from vlm_uec.collector import Collector, Experience
from vlm_uec.rollout.engine import StreamKey
from vlm_uec.timers import PhaseTimer
from vlm_uec.types import Group, Problem, Reward, Trajectory

G3 = ("rollout.n=3", "exploration.n=4", "rollout.temperature=1.0", "exploration.temperature=1.3")
# b and d are difficult: d's format reward does not count.
SCRIPTS = {"a": "vxx|", "b": "xxx|xvxv", "c": "vvv|", "d": "xfx|xxxx", "e": "xxv|"}


def _collector(*overrides: str) -> Collector:
    policy = FakePolicy()
    policy.is_gathered = True
    return make_collector(make_config(*G3, *overrides), SCRIPTS, policy)


def _collect(collector: Collector, ids: str = "cbade", step: int = 7) -> Experience:
    return collector.collect(list(ids), step, PhaseTimer(), lambda progress: None)


def _names(trajectories: Sequence[Trajectory]) -> str:
    return " ".join(f"{t.response.problem_id}{t.response.index}" for t in trajectories)


def test_only_prompts_without_a_right_response_are_explored_once() -> None:
    experience = _collect(_collector())
    assert _names(experience.regular) == "c0 c1 c2 b0 b1 b2 a0 a1 a2 d0 d1 d2 e0 e1 e2"
    assert _names(experience.explored) == "b3 b4 b5 b6 d3 d4 d5 d6"


def test_exploration_uses_its_own_temperature_the_same_key_and_indices_from_n_on() -> None:
    collector = _collector()
    _collect(collector, step=7)
    assert isinstance(collector.engine, ScriptedEngine)
    ((requests, key),) = collector.engine.calls
    regular, explored = requests[:5], requests[5:]
    assert [r.prompt.problem_id for r in regular] == list("cbade")
    assert [r.prompt.problem_id for r in explored] == list("bd")
    sampled = {
        source: {(r.source, r.indices, r.sampling.temperature) for r in part}
        for source, part in (("regular", regular), ("exploration", explored))
    }
    assert sampled["regular"] == {("regular", range(3), 1.0)}
    assert sampled["exploration"] == {("exploration", range(3, 7), 1.3)}
    rollout = collector.rollout
    assert {(r.sampling.top_p, r.sampling.max_tokens) for r in requests} == {
        (rollout.top_p, rollout.max_tokens)
    }
    assert key == StreamKey(1, 7)


def test_difficulty_depends_on_accuracy_not_on_total_reward() -> None:
    """One response to d has a format reward: its total is above 0, its accuracy is 0."""
    experience = _collect(_collector())
    totals = [t.reward.total for t in experience.regular if t.response.problem_id == "d"]
    assert max(totals) == pytest.approx(0.1)
    assert "d3" in _names(experience.explored)


def test_difficult_and_rescued_prompts_are_counted() -> None:
    experience = _collect(_collector())
    assert (experience.difficult_prompts, experience.rescued_prompts) == (2, 1)


def test_regular_and_exploration_groups_are_normalised_separately() -> None:
    """b, exploration: rewards 0, 0.9, 0, 0.9: mean 0.45, sample std 0.9 / sqrt(3), so -+ sqrt(3) / 2."""
    experience = _collect(_collector())
    explored = [t.advantage for t in experience.explored if t.response.problem_id == "b"]
    assert explored == pytest.approx([-0.8660, 0.8660, -0.8660, 0.8660], abs=1e-4)
    assert [t.advantage for t in experience.regular if t.response.problem_id == "b"] == [0.0] * 3
    # a: 0.9, 0, 0: mean 0.3, variance (0.36 + 0.09 + 0.09) / 2 = 0.27
    assert experience.regular[6].advantage == pytest.approx(0.6 / 0.27**0.5, abs=1e-4)


def test_unscaled_advantages_are_rewards_minus_the_mean() -> None:
    """a: 0.9, 0, 0."""
    collector = _collector()
    collector.scaled = False
    advantages = [t.advantage for t in _collect(collector).regular if t.response.problem_id == "a"]
    assert advantages == pytest.approx([0.6, -0.3, -0.3])


def test_the_length_penalty_lowers_the_reward_but_not_the_accuracy() -> None:
    """Scripted responses have one token: with a limit of one and a buffer of 1.0 the penalty is full."""
    plain, penalised = _collector(), _collector()
    penalised.overlong_buffer = 1.0
    penalised.rollout = penalised.rollout.model_copy(update={"max_tokens": 1})
    before, after = _collect(plain), _collect(penalised)
    assert {len(t.response.tokens) for t in after.regular} == {1}
    assert [t.reward.total - 0.5 for t in before.regular] == [t.reward.total for t in after.regular]
    assert [t.reward.accuracy for t in before.regular] == [t.reward.accuracy for t in after.regular]
    assert _names(before.explored) == _names(after.explored)


def test_response_tokens_include_regular_and_explored_responses() -> None:
    assert _collect(_collector()).response_tokens == 15 + 8


def test_every_trajectory_has_its_step() -> None:
    experience = _collect(_collector(), step=7)
    assert {t.step for t in (*experience.regular, *experience.explored)} == {7}


def test_rollout_time_is_split_by_decoded_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """15 regular and 8 explored responses of one token each take 23 s; 23 verdicts take 2 s each."""
    now = [0.0]
    collector, timer = _collector(), PhaseTimer(lambda: now[0])
    generate, judge = collector.engine.generate, collector.judge

    def slow_generate(*arguments: Any) -> list[Group]:
        now[0] += 23
        return generate(*arguments)

    def slow_judge(text: str, problem: Problem) -> Reward:
        now[0] += 2
        return judge(text, problem)

    monkeypatch.setattr(collector.engine, "generate", slow_generate)
    collector.judge = slow_judge
    collector.collect(list("cbade"), 7, timer, lambda progress: None)
    assert timer.finish() == pytest.approx(
        {"time/rollout": 15, "time/exploration": 8, "time/reward": 46, "time/other": 0, "time/step": 69}
    )


def test_exploration_can_be_disabled() -> None:
    assert _collect(_collector("exploration.enabled=false")).explored == ()


def test_a_step_may_have_no_difficult_prompt() -> None:
    experience = _collect(_collector(), ids="ace")
    assert experience.explored == ()
    assert (experience.difficult_prompts, experience.rescued_prompts) == (0, 0)


@pytest.mark.parametrize("ranks", [2, 3])
def test_every_rank_has_the_experience_of_a_single_rank(monkeypatch: pytest.MonkeyPatch, ranks: int) -> None:
    def names(experience: Experience) -> tuple[str, str]:
        return _names(experience.regular), _names(experience.explored)

    single = names(_collect(_collector()))
    with monkeypatch.context() as patch:
        results = run_on_ranks(patch, ranks, lambda rank: names(_collect(_collector())))
    assert results == [single] * ranks


@given(st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_which_response_finished_first(generator: random.Random) -> None:
    regular = [make_trajectory(name, index) for name in "ba" for index in range(3)]
    explored = [make_trajectory(name, index, source="exploration") for name in "ba" for index in (3, 4)]
    experience = Experience.of(
        ["b", "a"], generator.sample(regular, len(regular)), generator.sample(explored, len(explored))
    )
    assert _names(experience.regular) == "b0 b1 b2 a0 a1 a2"
    assert _names(experience.explored) == "b3 b4 a3 a4"
    mixed = experience.in_problem_order(generator.sample(regular + explored, len(regular + explored)))
    assert _names(mixed) == "b0 b1 b2 b3 b4 a0 a1 a2 a3 a4"
