"""What a trainer's steps train on, when, and in which order."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch

from tests.support.fakes import FakePolicy, RecordingLearner, make_trainer, make_trajectory
from vlm_uec.checkpoint.state import TrainState
from vlm_uec.config import load_config
from vlm_uec.telemetry.metrics import step_metrics
from vlm_uec.trainer import StepOutcome, Trainer
from vlm_uec.types import ScoredTrajectory, Trajectory

CONFIGS = Path(__file__).parents[1] / "configs"
GROUPS = ("rollout.n=4", "exploration.n=3")
# Retains 4 + 2 + 1 of a batch of 3 * 4 = 12: a has mixed rewards, b is rescued twice, c once.
SEVEN_A_STEP = {"a": "vxxx|", "b": "xxxx|vvx", "c": "xxxx|xxv"}


def _keys(trajectories: list[Trajectory] | tuple[Trajectory, ...]) -> list[str]:
    """`2b4` is response 4 to problem b, sampled at step 2."""
    return [f"{t.step}{t.response.problem_id}{t.response.index}" for t in trajectories]


def _steps(trainer: Trainer, count: int) -> list[StepOutcome]:
    return [trainer.step(step) for step in range(1, count + 1)]


def _plain(trajectories: tuple[Trajectory, ...]) -> set[str]:
    return {key[1:] for key in _keys(trajectories)}


def _trained(learner: RecordingLearner, what: str = "update") -> list[list[str]]:
    return [_keys([item.trajectory for item in batch]) for batch in learner.batches(what)]


def test_grpo_trains_on_every_response_zero_advantages_included() -> None:
    """All right and all wrong: every advantage is 0, and all 2 * 4 responses are in the loss."""
    trainer, learner = make_trainer({"a": "vvvv", "b": "xxxx"}, *GROUPS, "algorithm=grpo")
    for outcome in _steps(trainer, 3):
        assert _plain(outcome.update.trajectories) == {
            f"{name}{index}" for name in "ab" for index in range(4)
        }
        assert {t.advantage for t in outcome.update.trajectories} == {0.0}
        assert outcome.experience.explored == ()
        assert outcome.replay.trajectories == ()
    assert [name for name, _ in learner.calls] == ["old", "reference", "update"] * 3
    assert len(trainer.pending) == len(trainer.replay) == 0


def test_grpo_keeps_truncated_right_answers() -> None:
    trainer, _ = make_trainer({"a": "Vxxx"}, *GROUPS, "algorithm=grpo")
    assert len(trainer.step(1).update.trajectories) == 4


def test_uec_without_a_difficult_prompt_explores_nothing() -> None:
    trainer, _ = make_trainer({"a": "vxxx|", "b": "vvxx|"}, *GROUPS)
    outcome = trainer.step(1)
    assert outcome.experience.explored == ()
    assert len(outcome.update.trajectories) == 8
    metrics = step_metrics(1, outcome)
    assert metrics["uec/difficult_prompts"] == metrics["uec/explored_responses"] == 0


def test_a_step_that_retains_nothing_only_generates() -> None:
    """a's rewards are equal and b remains unsolved: nothing is retained, so no update follows."""
    trainer, learner = make_trainer({"a": "vvvv|", "b": "xxxx|xxx"}, *GROUPS, "stabilizer.frequency=1")
    outcome = trainer.step(1)
    assert learner.calls == []
    assert outcome.retained.trajectories == outcome.update.trajectories == outcome.replay.trajectories == ()
    metrics = step_metrics(1, outcome)
    assert metrics["uec/explored_responses"] == 3
    assert not [name for name in metrics if name.startswith(("loss/", "ratio/", "replay/", "covariance/"))]
    assert "grad_norm" not in metrics and "uec/replay_age" not in metrics


def test_retention_keeps_both_signs_of_regular_and_only_positive_exploration() -> None:
    trainer, _ = make_trainer(SEVEN_A_STEP, *GROUPS)
    retained = trainer.step(1).retained
    assert _plain(retained.trajectories) == {"a0", "a1", "a2", "a3", "b4", "b5", "c6"}
    assert (retained.regular, retained.explored, retained.dropped_overlong) == (4, 3, 0)


def test_retained_trajectories_are_ordered_by_problem_then_index() -> None:
    trainer, _ = make_trainer(
        {"a": "xxxx|xvv", "b": "vxxx|", "c": "xxxx|vxv"}, *GROUPS, "retention.regular=false"
    )
    outcome = trainer.step(1)
    letters = {
        "a": ["a0", "a1", "a2", "a3", "a5", "a6"],
        "b": ["b0", "b1", "b2", "b3"],
        "c": ["c0", "c1", "c2", "c3", "c4", "c6"],
    }
    expected = [f"1{key}" for name in outcome.experience.problem_ids for key in letters[name]]
    assert _keys(outcome.retained.trajectories) == expected


# Responses of one step under the reference code's rules, G = 5, G' = 20: reward 1 (v) or 0 (x), capital
# letters without an end token. Advantages are (R - mean) / sample deviation of the group, by hand:
REFERENCE = {
    "a": "vxxxx|",  # mean 0.2, sd sqrt(0.8 / 4): v 0.8 / 0.4472 = 1.789, x -0.447
    "b": "vvvvx|",  # the mirror image: v 0.447, x -1.789
    "c": "xxxxx|" + "x" * 19 + "v",  # mean 0.05, sd sqrt(0.95 / 19) = 0.2236: v 4.249, x -0.224
    "d": "xxxxx|" + "v" * 19 + "x",  # v 0.224, x -4.249
    "e": "vvvvv|",  # all right: 0
    "f": "Vxxxx|",  # as a, but the right answer was cut off
    "g": "xxxxx|" + "x" * 20,  # not rescued: 0
}
REFERENCE_ADVANTAGES = {
    "a0": 1.789, "a1": -0.447, "b0": 0.447, "b4": -1.789, "c4": 0.0, "c5": -0.224, "c24": 4.249,
    "d5": 0.224, "d24": -4.249, "e0": 0.0, "f0": 1.789, "f1": -0.447, "g5": 0.0,
}  # fmt: skip
# |A| > 0.05 of regular responses, |A| > 1 of exploration; without f0, which was cut off with A > 0.
REFERENCE_RETAINED = {
    *("a0", "a1", "a2", "a3", "a4"),
    *("b0", "b1", "b2", "b3", "b4"),
    *("c24", "d24"),
    *("f1", "f2", "f3", "f4"),
}
REFERENCE_REPLAYED = {"a0", "b4", "c24", "d24"}  # |A| > 1, both signs


def test_a_step_under_the_reference_code_s_rules() -> None:
    """16 of a batch of 7 x 5 = 35 are retained a step: the third step pops 35 of 48."""
    recipe = load_config(CONFIGS / "geometry3k_qwen2.5_vl_7b_uec_reference.yaml")
    rules, buffer = recipe.retention, recipe.stabilizer
    trainer, _ = make_trainer(
        REFERENCE,
        f"rollout.n={recipe.rollout.n}",
        f"exploration.n={recipe.exploration.n}",
        f"retention.threshold={rules.threshold}",
        f"retention.retain={rules.retain}",
        f"retention.magnitude={rules.magnitude}",
        f"stabilizer.retain={buffer.retain}",
        f"stabilizer.min_advantage={buffer.min_advantage}",
        f"stabilizer.capacity={buffer.capacity}",
    )
    outcomes = _steps(trainer, 3)
    for outcome in outcomes:
        sampled = {
            f"{t.response.problem_id}{t.response.index}": t.advantage
            for t in (*outcome.experience.regular, *outcome.experience.explored)
        }
        assert len(sampled) == 7 * 5 + 3 * 20
        expected = pytest.approx(REFERENCE_ADVANTAGES, abs=1e-3)
        assert {name: sampled[name] for name in REFERENCE_ADVANTAGES} == expected
        assert _plain(outcome.retained.trajectories) == REFERENCE_RETAINED
        assert outcome.retained.dropped_overlong == 1
    trained = outcomes[2].update.trajectories
    assert [len(outcome.update.trajectories) for outcome in outcomes] == [0, 0, 35]
    replayable = [t for t in trained if f"{t.response.problem_id}{t.response.index}" in REFERENCE_REPLAYED]
    assert _keys([item.trajectory for item in trainer.replay.items()]) == _keys(replayable)
    assert len(trainer.pending) == 3 * 16 - 35


def test_pending_pops_multiples_of_a_batch_in_order() -> None:
    """7 a step, 12 a batch: 7 stay queued; 12 of 14 are popped; 9 stay queued; 12 of 16 are popped; …"""
    trainer, _ = make_trainer(SEVEN_A_STEP, *GROUPS)
    pushed: list[str] = []
    popped: list[str] = []
    queued = []
    for step in range(1, 7):
        outcome = trainer.step(step)
        pushed += _keys(outcome.retained.trajectories)
        popped += _keys(outcome.update.trajectories)
        queued.append(len(trainer.pending))
    assert queued == [7, 2, 9, 4, 11, 6]
    assert popped + _keys(trainer.pending.items()) == pushed


def test_two_batches_may_be_popped_at_once() -> None:
    """A batch is 1 * 2; exploration of the only prompt retains 5."""
    trainer, _ = make_trainer({"a": "xx|vvvvvx"}, "rollout.n=2", "exploration.n=6")
    outcome = trainer.step(1)
    assert len(outcome.update.trajectories) == 4
    assert len(trainer.pending) == 1


def test_without_pending_a_step_trains_on_what_it_retains() -> None:
    trainer, _ = make_trainer(SEVEN_A_STEP, *GROUPS, "pending.enabled=false")
    for outcome in _steps(trainer, 2):
        assert outcome.update.trajectories == outcome.retained.trajectories
        assert len(outcome.update.trajectories) == 7
    assert len(trainer.pending) == 0


def test_only_truncated_right_answers_are_dropped() -> None:
    scripts = {"a": "VvXx|", "b": "xxxx|Vvx"}
    outcome = make_trainer(scripts, *GROUPS)[0].step(1)
    assert _plain(outcome.retained.trajectories) == {"a1", "a2", "a3", "b5"}
    assert outcome.retained.dropped_overlong == 2
    outcome = make_trainer(scripts, *GROUPS, "overlong_filter.enabled=false")[0].step(1)
    assert _plain(outcome.retained.trajectories) == {"a0", "a1", "a2", "a3", "b4", "b5"}
    assert outcome.retained.dropped_overlong == 0


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ("retention.regular=false", {"a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3", "b4"}),
        ("retention.exploration=false", {"a0", "a1", "a2", "a3", "b4", "b5", "b6"}),
        ("exploration.enabled=false", {"a0", "a1", "a2", "a3"}),
        # b's regular responses are all wrong.
        ("retention={regular: false, mixed_groups: true}", {"a0", "a1", "a2", "a3", "b4"}),
        # b: rewards 0.9, 0, 0 have advantages 1.15 and -0.58.
        ("retention={retain: magnitude, magnitude: 0.5}", {"a0", "a1", "a2", "a3", "b4", "b5", "b6"}),
        ("retention={retain: magnitude, magnitude: 1.0}", {"a0", "a1", "a2", "a3", "b4"}),
        # a: one right of four has 1.5, the others -0.5.
        ("retention.threshold=0.6", {"a0", "b4"}),
    ],
)
def test_each_setting_of_retention_alone(switch: str, expected: set[str]) -> None:
    trainer, _ = make_trainer({"a": "vxxx|", "b": "xxxx|vxx"}, *GROUPS, switch)
    assert _plain(trainer.step(1).retained.trajectories) == expected


def test_exploration_without_a_right_answer_is_not_a_mixed_group() -> None:
    """b's wrong responses differ in their format reward, as they could by a length penalty."""
    scripts = {"a": "xxxx|vfx", "b": "xxxx|fxx"}
    everything = {"a4", "a5", "a6", "b4", "b5", "b6"}
    for switch, expected in (("false", everything), ("true", {"a4", "a5", "a6"})):
        trainer, _ = make_trainer(
            scripts, *GROUPS, f"retention={{exploration: false, mixed_groups: {switch}}}"
        )
        assert _plain(trainer.step(1).retained.trajectories) == expected


def test_the_replay_frequency_counts_steps_without_an_update() -> None:
    """A batch is 2 * 4 = 8 and a step retains 4: updates at 2, 4, 6, 8; replays of the buffer at 3, 6, 9."""
    trainer, learner = make_trainer(
        {"a": "vxxx|", "b": "vvvv|"}, *GROUPS, "stabilizer={frequency: 3, min_advantage: -9, capacity: 1}"
    )
    outcomes = _steps(trainer, 9)
    assert [bool(o.update.trajectories) for o in outcomes] == [False, True] * 4 + [False]
    assert [bool(o.replay.trajectories) for o in outcomes] == [False, False, True] * 3
    assert len(learner.batches("replay")) == 3
    assert step_metrics(3, outcomes[2])["uec/replay_age"] == pytest.approx((4 * 2 + 4 * 1) / 8)


def test_replay_stores_high_advantages_with_their_old_logprobs() -> None:
    """A batch is 4: each step trains on a's 4 responses and stores the one with advantage 1.5 (the fake's old
    log-probs count updates). The buffer has 4 at step 4, after updates 0 to 3."""
    trainer, learner = make_trainer(
        {"a": "vxxx|"}, *GROUPS, "stabilizer={frequency: 1, min_advantage: 1.0, capacity: 2}"
    )
    outcomes = _steps(trainer, 4)
    assert [len(o.replay.trajectories) for o in outcomes] == [0, 0, 0, 4]
    (replayed,) = learner.batches("replay")
    assert _keys([item.trajectory for item in replayed]) == ["1a0", "2a0", "3a0", "4a0"]
    assert [float(item.old_logprobs[0]) for item in replayed] == [0, 1, 2, 3]
    assert [name for name, _ in learner.calls[-4:]] == ["old", "reference", "update", "replay"]


def test_nothing_is_stored_or_replayed_without_the_stabilizer() -> None:
    trainer, learner = make_trainer(
        {"a": "vxxx|"}, *GROUPS, "stabilizer={enabled: false, frequency: 1, min_advantage: -9}"
    )
    _steps(trainer, 3)
    assert learner.batches("replay") == []
    assert len(trainer.replay) == 0


def test_old_and_reference_logprobs_are_computed_before_the_update_of_their_batch() -> None:
    trainer, learner = make_trainer({"a": "vxxx|", "b": "xxxx|vvv"}, *GROUPS, "pending.enabled=false")
    trainer.step(1)
    (old, olds), (reference, references), (update, scored) = learner.calls
    assert (old, reference, update) == ("old", "reference", "update")
    assert olds == references == [item.trajectory for item in scored]
    assert all(isinstance(item, ScoredTrajectory) for item in scored)


def test_a_run_resumed_without_kl_drops_the_reference_logprobs_of_its_replay_buffer() -> None:
    """A buffer with and without reference log-probs could be neither saved nor trained on."""
    trainer, _ = make_trainer(SEVEN_A_STEP, *GROUPS, "loss.kl_coef=0")
    item = ScoredTrajectory(make_trajectory(), torch.zeros(1), torch.zeros(1))
    trainer.restore(TrainState(1, replay=(item,)))
    assert [kept.reference_logprobs for kept in trainer.replay.items()] == [None]
    trainer, _ = make_trainer(SEVEN_A_STEP, *GROUPS, "loss.kl_coef=0.1")
    trainer.restore(TrainState(1, replay=(item,)))
    assert trainer.replay.items() == (item,)


def test_a_restored_trainer_continues_as_if_never_stopped() -> None:
    options = (*GROUPS, "stabilizer={frequency: 2, min_advantage: 0.1, capacity: 1.5}")
    full, full_learner = make_trainer(SEVEN_A_STEP, *options)
    _steps(full, 8)
    first, first_learner = make_trainer(SEVEN_A_STEP, *options)
    _steps(first, 5)
    state = first.state(5, {}, finished=True)
    assert state.pending and state.replay
    second, second_learner = make_trainer(SEVEN_A_STEP, *options)
    second.restore(state)
    for step in (6, 7, 8):
        second.step(step)
    for what in ("update", "replay"):
        assert _trained(first_learner, what) + _trained(second_learner, what) == _trained(full_learner, what)
    assert _keys(second.pending.items()) == _keys(full.pending.items())
    assert full_learner.batches("replay")


def test_every_step_sets_its_learning_rate() -> None:
    """Warm-up over two steps, then a linear decay over four; whether a step trains does not matter."""
    settings = ("optim.lr=0.008", "optim.warmup_steps=2", "optim.decay=linear", "train.steps=6")
    trainer, _ = make_trainer(SEVEN_A_STEP, *GROUPS, *settings)
    _steps(trainer, 6)
    rates = cast(FakePolicy, trainer.policy).rates
    assert rates == pytest.approx([0.004, 0.008, 0.008, 0.006, 0.004, 0.002])
    resumed, _ = make_trainer(SEVEN_A_STEP, *GROUPS, *settings)
    resumed.step(5)
    assert cast(FakePolicy, resumed.policy).rates == rates[4:5]
