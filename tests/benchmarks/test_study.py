"""The arithmetic of the entropy study's results, checked by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from benchmarks.lib.study.arms import StudyRun
from benchmarks.lib.study.breakdowns import entropy_by_token, pass_by_kind
from benchmarks.lib.study.comparisons import comparisons
from benchmarks.lib.study.probe_effects import effects_by_source, sign_test
from benchmarks.lib.study.results import (
    UPDATE_KINDS,
    RunResult,
    ValidationScores,
    entropy_prediction,
    estimate,
    gain_ratio,
    paired_differences_at,
    read_result,
    value_at,
)
from vlm_uec.config import dump_config, load_config


def _result(arm: str, seed: int, *course: tuple[int, int, float]) -> RunResult:
    """`course`: steps, tokens and Pass@1 of every validation."""
    validated = tuple(ValidationScores(step, tokens, value, 2 * value) for step, tokens, value in course)
    last = validated[-1]
    return RunResult(
        arm,
        seed,
        last.step,
        last.tokens,
        0,
        0.0,
        last.pass_1,
        last.pass_k,
        1,
        1,
        1,
        0,
        1.0,
        dict.fromkeys(UPDATE_KINDS),
        validated,
    )


RUNS = [
    _result("UEC", 1, (10, 200, 0.4), (20, 400, 0.6)),
    _result("GRPO", 1, (10, 100, 0.3), (30, 300, 0.5), (40, 400, 0.5)),
    _result("UEC", 2, (10, 200, 0.5), (20, 400, 0.7)),
    _result("GRPO", 2, (10, 100, 0.3), (30, 300, 0.5), (40, 400, 0.6)),
]


def test_intervals_are_students() -> None:
    """Mean 2, deviation 1, three seeds: 4.303 / sqrt(3) = 2.484 to each side."""
    found = estimate([1, 2, 3])
    assert (found.mean, found.low, found.high) == pytest.approx((2, 2 - 2.4843, 2 + 2.4843), abs=1e-3)
    assert estimate([5]).high == math.inf


@pytest.mark.parametrize(
    ("axis", "position", "expected"),
    [("tokens", 50, 0.25), ("tokens", 100, 0.3), ("tokens", 200, 0.4), ("step", 35, 0.5), ("step", 0, 0.2)],
)
def test_values_between_validations_are_interpolated(axis: str, position: float, expected: float) -> None:
    assert value_at(RUNS[1], axis, position, "pass_1", 0.2) == pytest.approx(expected)


def test_values_beyond_the_last_validation_are_refused() -> None:
    with pytest.raises(ValueError, match="GRPO, seed 1: no validation at or after 401"):
        value_at(RUNS[1], "tokens", 401, "pass_1", 0.2)


def test_differences_are_paired_by_seed_at_the_same_position() -> None:
    """At 200 tokens 0.4 and 0.5 against 0.4; at step 20 0.6 and 0.7 against 0.4."""
    tokens = paired_differences_at(RUNS, ("UEC", "GRPO"), "tokens", 200, {"pass_1": 0.2, "pass_k": 0.4})
    assert (tokens["pass_1"].mean, tokens["pass_k"].mean) == pytest.approx((0.05, 0.1))
    assert paired_differences_at(RUNS, ("UEC", "GRPO"), "step", 20, {"pass_1": 0.2})[
        "pass_1"
    ].mean == pytest.approx(0.25)


def test_gain_ratios_use_means_over_the_base_model() -> None:
    """(0.65 - 0.25) / (0.55 - 0.25)."""
    assert gain_ratio(RUNS, "UEC", "GRPO", 0.25) == pytest.approx(4 / 3)


def test_updates_and_replays_have_separate_entropy_predictions() -> None:
    """Updates: measured is 3 times predicted. Replays: the negative, twice as large."""
    rows: list[dict[str, float | None]] = [
        {"update/entropy_predicted": p, "update/entropy_change": 3 * p, "replay/entropy_change": None}
        for p in (1.0, 2.0, 4.0)
    ]
    rows += [{"replay/entropy_predicted": p, "replay/entropy_change": 90 - 2 * p} for p in (1.0, 2.0, 5.0)]
    updates, replays = entropy_prediction(rows, "update"), entropy_prediction(rows, "replay")
    assert updates is not None and replays is not None
    assert (updates.correlation, updates.size) == pytest.approx((1, 3))
    assert (replays.correlation, replays.size) == pytest.approx((-1, 2))
    assert entropy_prediction(rows[:5], "replay") is None


def test_results_are_read_from_a_runs_metrics(tmp_path: Path) -> None:
    """Twelve steps of entropy 1 to 12: means of ten are 5.5, 6.5 and 7.5. Validation after 6 and 12."""
    rows: list[dict[str, float | None]] = [
        {
            "step": step,
            "response_tokens/total": 100 * step,
            "entropy/exact": float(step),
            "time/step": 30.0,
            "uec/rescued_prompts": 2,
            "uec/explored_responses": 32,
            "uec/retained_regular": 36,
            "uec/retained_exploration": 4,
            "update/optimizer_steps": 1,
            "replay/optimizer_steps": 1 if step % 5 == 0 else 0,
            "eval/pass@1": step / 100 if step % 6 == 0 else None,
            "eval/pass@16": step / 50 if step % 6 == 0 else None,
        }
        for step in range(1, 13)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")
    settings = dump_config(load_config("configs/tiny_cpu.yaml"))  # 16 problems, 8 responses to each
    (tmp_path / "config.yaml").write_text(settings, encoding="utf-8")
    found = read_result(StudyRun("UEC", 3, tmp_path))
    assert (found.arm, found.seed, found.steps, found.tokens, found.optimizer_steps) == (
        "UEC",
        3,
        12,
        1200,
        14,
    )
    assert (found.minutes, found.rescued, found.pass_1, found.pass_k) == (6.0, 24, 0.12, 0.24)
    assert (found.entropy_first, found.entropy_last, found.entropy_least) == (5.5, 7.5, 5.5)
    assert found.course == (ValidationScores(6, 600, 0.06, 0.12), ValidationScores(12, 1200, 0.12, 0.24))
    assert found.predictions == {"update": None, "replay": None}
    assert found.retained == 40 / (128 + 32)


def test_arms_are_compared_with_grpo_and_with_the_grpo_arm_of_equal_steps() -> None:
    last = {"GRPO": 0.5, "GRPO, two steps a batch": 0.6, "UEC, two steps a batch": 0.8}
    results = [
        _result(arm, seed, (1, 100, value + seed / 100)) for arm, value in last.items() for seed in (1, 2)
    ]
    found = comparisons(results, list(last), {"pass_1": 0.315, "pass_k": 0.63})
    differences = {name: value["pass_1"]["mean"] for name, value in found.items() if " - " in name}
    assert differences == pytest.approx(
        {
            "GRPO, two steps a batch - GRPO": 0.1,
            "UEC, two steps a batch - GRPO": 0.3,
            "UEC, two steps a batch - GRPO, two steps a batch": 0.2,
        }
    )
    # (0.815 - 0.315) / (0.615 - 0.315)
    assert found["gain of UEC, two steps a batch / gain of GRPO, two steps a batch"] == pytest.approx(5 / 3)


def test_the_sign_test_is_exact() -> None:
    """5 of 5 in one direction: 2 / 32. 4 of 5: 2 x (1 + 5) / 32. 3 of 6: 1."""
    assert [sign_test(5, 0), sign_test(1, 4), sign_test(3, 3)] == [0.0625, 0.375, 1]


def test_probe_effects_are_means_over_seeds_by_source() -> None:
    """Means by seed -0.1, 0.1 and -0.3: mean -0.1, deviation 0.2, 4.303 x 0.2 / sqrt(3) to each side."""
    changes = {1: (-0.3, 0.1), 2: (0.1,), 3: (-0.3, -0.3)}
    probes = [
        {"source": "replay", "seed": seed, "change": change, "difficult_change": None}
        for seed, of_seed in changes.items()
        for change in of_seed
    ]
    probes[0]["difficult_change"] = 0.5
    found = effects_by_source(probes)["replay"]
    every, difficult = found["all states"], found["states of difficult prompts"]
    assert (every["probes"], every["probes_up"], every["seeds"], every["seeds_up"]) == (5, 2, 3, 1)
    assert every["change"]["mean"] == pytest.approx(-0.1)
    assert every["change"]["high"] == pytest.approx(-0.1 + 4.303 * 0.2 / math.sqrt(3))
    assert every["p"] == 1.0
    assert (difficult["probes"], difficult["change"]["mean"]) == (1, 0.5)


def _group(name: str, tokens: list[int], entropy: list[float]) -> Any:
    response = SimpleNamespace(tokens=torch.tensor(tokens), entropy=torch.tensor(entropy))
    return SimpleNamespace(prompt=SimpleNamespace(problem_id=name), responses=[response] * 16)


def test_scores_by_kind_are_means_over_problems() -> None:
    """4 and 0 of 16 right: Pass@1 1/8, and Pass@16 one problem of two."""
    groups = [_group("a", [1], [0.0]), _group("b", [1], [0.0])]
    right = {"a": 4, "b": 0}
    found = pass_by_kind(groups, lambda group: right[group.prompt.problem_id], {"a": "angle", "b": "angle"})
    assert found == {"angle": {"pass_1": 0.125, "pass_k": 0.5}}


def test_entropy_of_digits_and_of_other_tokens() -> None:
    groups = [_group("a", [0, 1, 2], [0.6, 0.2, 0.0])]
    found = entropy_by_token(cast(Any, groups), torch.tensor([True, False, False]))
    assert found == pytest.approx({"digits": 0.6, "others": 0.1, "digits_share": 0.75}, abs=1e-6)
