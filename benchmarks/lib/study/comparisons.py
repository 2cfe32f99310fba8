"""Comparisons between arms: differences paired by seed, ratios of gains, and changes of entropy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from benchmarks.lib.study.arms import MATCHED
from benchmarks.lib.study.results import PASSES, Outcome, estimate, of_arm, paired, paired_at, relative_gain


def comparisons(outcomes: Sequence[Outcome], arms: Sequence[str], base: dict[str, float]) -> dict[str, Any]:
    """Differences to GRPO, paired by seed; gains over the base model; what is left of the entropy."""
    told: dict[str, Any] = {}
    for arm, other in product(arms, arms):
        if arm != other and other in ("GRPO", MATCHED.get(arm)):
            told[f"{arm} - {other}"] = {
                name: vars(paired(outcomes, arm, other, name)) for name in ("pass_1", "pass_k")
            }
            told[f"gain of {arm} / gain of {other}"] = relative_gain(outcomes, arm, other, base["pass_1"])
    for arm in arms:
        first, last = (of_arm(outcomes, arm, f"entropy_{end}") for end in ("first", "last"))
        told[f"{arm}: entropy, last / first"] = vars(
            estimate([last[seed] / first[seed] for seed in sorted(first)])
        )
        for what in PASSES:
            found = [p for one in outcomes if one.arm == arm and (p := one.predictions[what]) is not None]
            if found:
                told[f"{arm}: predicted and measured entropy change, {what}s"] = {
                    name: vars(estimate([getattr(one, name) for one in found]))
                    for name in ("correlation", "size")
                }
    return told


def on_the_way(outcomes: Sequence[Outcome], arm: str, tokens: int, base: dict[str, float]) -> dict[str, Any]:
    """`arm` - GRPO, paired by seed: at equal sampled tokens, and at equal steps, as the paper counts."""
    told: dict[str, Any] = {}
    both = [one for one in outcomes if one.arm in ("GRPO", arm)]
    if len({one.arm for one in both}) < 2:
        return told
    steps = min(one.steps for one in both)
    places = [("tokens", tokens * share) for share in (0.25, 0.5, 0.75)] + [("step", steps)]
    for axis, place in places:
        found = paired_at(both, (arm, "GRPO"), axis, place, base)
        name = f"{arm} - GRPO at {place:,.0f} {axis if axis == 'tokens' else 'steps'}"
        told[name] = {number: vars(found[number]) for number in found}
    return told
