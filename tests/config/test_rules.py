"""Settings that contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.configs import SWITCHES, config_error, value_at
from vlm_uec.algorithm.advantages import group_advantages
from vlm_uec.config import load_config
from vlm_uec.config.rules import largest_advantage, largest_deviation


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["data.min_pixels=5000", "data.max_pixels=4000"], ["min_pixels 5000", "max_pixels 4000"]),
        (["optim.minibatch=100"], ["optim.minibatch 100", "rollout.prompts 512", "64 does"]),
        (["optim.minibatch=1000"], ["optim.minibatch 1000", "512 does"]),
        (["stabilizer.capacity=0.5"], ["stabilizer.capacity 0.5", "= 2560"]),
        (
            ["optim.lr=0.5", "optim.weight_decay=3"],
            ["optim.lr * optim.weight_decay is 1.5", "1 - 1.5 = -0.5"],
        ),
        (["train.steps=60", "optim.warmup_steps=61"], ["optim.warmup_steps 61", "train.steps 60"]),
        (["loss.dual_clip=1.2"], ["loss.dual_clip 1.2", "1 + loss.clip_high = 1.2"]),
        (["loss.dual_clip=1.25", "loss.clip_high=0.28"], ["loss.dual_clip 1.25", "= 1.28"]),
        (["exploration.temperature=0.9"], ["exploration.temperature 0.9", "rollout.temperature 1"]),
        # (5 - 1) / sqrt(5) = 1.789, (20 - 1) / sqrt(20) = 4.249
        (["retention.threshold=1.79"], ["retention.threshold 1.79", "rollout.n = 5", "1.789", "0.05"]),
        (
            ["retention.retain=magnitude", "retention.magnitude=4.25"],
            ["retention.magnitude 4.25", "exploration.n = 20", "(20 - 1) / sqrt(20) = 4.249"],
        ),
        (["stabilizer.min_advantage=4.25"], ["stabilizer.min_advantage 4.25", "1.789", "4.249"]),
        # 19 right of 20 and one wrong: -4.249, so the bound holds for both signs.
        (
            ["stabilizer.retain=magnitude", "stabilizer.min_advantage=4.25"],
            ["stabilizer.min_advantage 4.25", "4.249"],
        ),
        (["train.eval_at_start=true"], ["train.eval_at_start", "train.eval_every"]),
        (
            ["stabilizer.min_advantage=1.79", "exploration.enabled=false"],
            ["(5 - 1) / sqrt(5) = 1.789", "stabilizer.enabled=false"],
        ),
        # (2 - 1) / sqrt(2) = 0.707 is below the default of 1
        (["rollout.n=2", "exploration.enabled=false"], ["stabilizer.min_advantage 1 ", "0.707"]),
        (
            ["train.eval_every=1", "evaluation.n=4", "evaluation.temperature=0"],
            ["evaluation.n 4", "evaluation.temperature 0", "evaluation.n=1"],
        ),
    ],
)
def test_a_contradiction_is_reported_with_its_arithmetic(
    file: Path, overrides: list[str], parts: list[str]
) -> None:
    message = config_error(file, *overrides)
    assert str(file) in message
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    "overrides",
    [
        ["stabilizer.capacity=0.5", "stabilizer.enabled=false"],
        ["stabilizer.min_advantage=9", "stabilizer.enabled=false"],
        ["stabilizer.min_advantage=1.78", "exploration.enabled=false"],
        ["stabilizer.min_advantage=4.24"],
        ["stabilizer.min_advantage=-9"],
        ["stabilizer.retain=magnitude", "stabilizer.min_advantage=4.24"],
        ["train.eval_at_start=true", "train.eval_every=1"],
        ["retention.threshold=9", "retention.regular=false"],
        ["retention.threshold=1.78"],
        ["retention.magnitude=9"],
        ["retention.magnitude=9", "retention.retain=magnitude", "retention.exploration=false"],
        ["retention.magnitude=9", "retention.retain=magnitude", "exploration.enabled=false"],
        ["exploration.temperature=1.0"],
        ["exploration.temperature=0.5", "exploration.enabled=false"],
        ["loss.dual_clip=1.21"],
        ["loss.dual_clip=null", "loss.clip_high=5"],
        ["algorithm=cispo", "loss.clip_high=5"],
        ["evaluation.n=4", "evaluation.temperature=0"],
        ["train.eval_every=1", "evaluation.n=1", "evaluation.temperature=0"],
    ],
    ids=" ".join,
)
def test_consistent_or_unused_settings_are_accepted(file: Path, overrides: list[str]) -> None:
    assert load_config(file, overrides)


@pytest.mark.parametrize("algorithm", ["uec", "grpo"])
@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_can_be_set_alone(file: Path, algorithm: str, switch: str) -> None:
    on = algorithm == "grpo"
    config = load_config(file, [f"algorithm={algorithm}", f"{switch}={str(on).lower()}"])
    assert {key: value_at(config, key) for key in SWITCHES} == {**dict.fromkeys(SWITCHES, not on), switch: on}


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40))
def test_no_unscaled_group_exceeds_the_largest_deviation(rewards: list[float]) -> None:
    bound = largest_deviation(len(rewards), spread=2.0)
    assert max(map(abs, group_advantages(rewards, scaled=False))) <= bound + 1e-9


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["retention.threshold=0.875"],
            "no advantage in a group of rollout.n = 8 exceeds 1 x (8 - 1) / 8 = 0.875",
        ),
        (
            ["stabilizer.min_advantage=0.95", "exploration.n=20"],
            "exploration.n = 20 exceeds 1 x (20 - 1) / 20",
        ),
    ],
)
def test_unscaled_advantages_have_other_bounds(file: Path, overrides: list[str], message: str) -> None:
    settings = ["algorithm=dr_grpo+uec", "rollout.n=8"]
    assert message in config_error(file, *settings, *overrides)
    # A reward that falls by up to 1 for its length spreads over 2.
    assert load_config(file, [*settings, *overrides, "reward.overlong_buffer=0.1"])


def test_the_rewards_range_follows_the_length_penalty(file: Path) -> None:
    """From 1 down to -0.5 or -1; the bounds are 1.5 x 7 / 8 = 1.3125 and 2 x 7 / 8 = 1.75."""
    settings = ["algorithm=dr_grpo", "rollout.n=8", "retention.regular=true", "reward.overlong_buffer=0.1"]
    message = config_error(file, *settings, "retention.threshold=1.32")
    assert "rollout.n = 8 exceeds 1.5 x (8 - 1) / 8 = 1.31" in message
    assert load_config(file, [*settings, "retention.threshold=1.31"])
    assert load_config(file, [*settings, "reward.overlong_penalty=1", "retention.threshold=1.32"])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_no_group_exceeds_the_largest_advantage(rewards: list[float]) -> None:
    assert max(map(abs, group_advantages(rewards))) <= largest_advantage(len(rewards)) + 1e-9


@pytest.mark.parametrize("n", [2, 5, 20])
def test_one_right_answer_reaches_the_largest_advantage(n: int) -> None:
    """Except for the 1e-6 added to the standard deviation of 1 / sqrt(n)."""
    assert group_advantages([1.0] + [0.0] * (n - 1))[0] == pytest.approx(largest_advantage(n), rel=1e-5)
