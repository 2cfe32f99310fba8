"""Comparisons between arms: differences paired by seed, ratios of gains, and changes of entropy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from benchmarks.lib.study.arms import MATCHED
from benchmarks.lib.study.results import (
    UPDATE_KINDS,
    RunResult,
    estimate,
    gain_ratio,
    paired_difference,
    paired_differences_at,
    values_by_seed,
)


def comparisons(results: Sequence[RunResult], arms: Sequence[str], base: dict[str, float]) -> dict[str, Any]:
    """Differences from GRPO, paired by seed; ratios of gains over the base model; ratios of entropy."""
    compared: dict[str, Any] = {}
    for arm, other in product(arms, arms):
        if arm != other and other in ("GRPO", MATCHED.get(arm)):
            compared[f"{arm} - {other}"] = {
                name: vars(paired_difference(results, arm, other, name)) for name in ("pass_1", "pass_k")
            }
            compared[f"gain of {arm} / gain of {other}"] = gain_ratio(results, arm, other, base["pass_1"])
    for arm in arms:
        first, last = (values_by_seed(results, arm, f"entropy_{end}") for end in ("first", "last"))
        compared[f"{arm}: entropy, last / first"] = vars(
            estimate([last[seed] / first[seed] for seed in sorted(first)])
        )
        for kind in UPDATE_KINDS:
            found = [p for one in results if one.arm == arm and (p := one.predictions[kind]) is not None]
            if found:
                compared[f"{arm}: predicted and measured entropy change, {kind}s"] = {
                    name: vars(estimate([getattr(one, name) for one in found]))
                    for name in ("correlation", "size")
                }
    return compared


def comparisons_during_training(
    results: Sequence[RunResult], arm: str, tokens: int, base: dict[str, float]
) -> dict[str, Any]:
    """`arm` minus GRPO, paired by seed, at equal sampled tokens and at equal steps (the paper's axis)."""
    compared: dict[str, Any] = {}
    both = [one for one in results if one.arm in ("GRPO", arm)]
    if len({one.arm for one in both}) < 2:
        return compared
    steps = min(one.steps for one in both)
    positions = [("tokens", tokens * share) for share in (0.25, 0.5, 0.75)] + [("step", steps)]
    for axis, position in positions:
        found = paired_differences_at(both, (arm, "GRPO"), axis, position, base)
        name = f"{arm} - GRPO at {position:,.0f} {axis if axis == 'tokens' else 'steps'}"
        compared[name] = {number: vars(found[number]) for number in found}
    return compared
