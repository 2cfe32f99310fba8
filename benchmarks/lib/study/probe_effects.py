"""The effect of probe updates on entropy by source: means over seeds, and sign tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import comb
from statistics import fmean
from typing import Any

from benchmarks.lib.study.results import estimate

STATES = {"all states": "change", "states of difficult prompts": "difficult_change"}


def sign_test(ups: int, downs: int) -> float:
    """Exact two-sided p-value of the split, if up and down are equally likely."""
    count, least = ups + downs, min(ups, downs)
    tail = sum(comb(count, k) for k in range(least + 1)) / 2**count
    return min(1.0, 2 * tail)


def effects_by_source(probes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Entropy changes of each source's probes, on all states and on those of difficult prompts.

    Only seeds are independent, not the probes of one seed, so the interval and the sign test use the means of
    the seeds.
    """
    effects: dict[str, dict[str, Any]] = {}
    for source, states in product(("exploration", "regular", "replay"), STATES):
        changes: dict[int, list[float]] = {}
        for probe in probes:
            if probe["source"] == source and probe[STATES[states]] is not None:
                changes.setdefault(probe["seed"], []).append(probe[STATES[states]])
        if changes:
            means = [fmean(of_seed) for of_seed in changes.values()]
            ups = sum(mean > 0 for mean in means)
            effects.setdefault(source, {})[states] = {
                "probes": sum(map(len, changes.values())),
                "probes_up": sum(change > 0 for of_seed in changes.values() for change in of_seed),
                "seeds": len(means),
                "seeds_up": ups,
                "change": vars(estimate(means)),
                "p": sign_test(ups, len(means) - ups),
            }
    return effects
