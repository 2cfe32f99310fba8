"""Problems of each step, determined by seed and step alone, so that a resumed run uses the same ones.

In a mixture, every step takes a fixed number of problems from each data set, in proportion to its weight.
Each data set has its own epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.errors import UserError
from vlm_uec.rng import keyed_generator


@dataclass(frozen=True)
class MixturePart:
    """The problems of one data set, and how many of them every step takes."""

    name: str
    ids: tuple[str, ...]
    prompts: int


class ProblemSchedule:
    """Selects the problems of each step of a run."""

    def __init__(self, parts: Sequence[MixturePart], seed: int) -> None:
        """Raises `UserError` if a step takes no problem of a data set, or more than it has."""
        for part in parts:
            if part.prompts == 0:
                raise UserError(
                    f"data.mixture: {part.name} gets no prompt of a step; raise its weight or rollout.prompts"
                )
            if part.prompts > len(part.ids):
                raise UserError(_too_few_problems_message(part))
        self._parts, self._seed = parts, seed

    def step(self, step: int) -> list[str]:
        """The problem ids of a trainer step (1, 2, ...), none of them twice."""
        return interleave([self._step_ids(part, step) for part in self._parts])

    def _step_ids(self, part: MixturePart, step: int) -> list[str]:
        """Every epoch has its own order and consists of whole steps; its leftover problems differ."""
        epoch, position = divmod(step - 1, len(part.ids) // part.prompts)
        key = ("epoch", epoch, part.name) if len(self._parts) > 1 else ("epoch", epoch)
        order = keyed_generator(self._seed, *key).permutation(len(part.ids))
        return [part.ids[index] for index in order[position * part.prompts : (position + 1) * part.prompts]]


def mixture_parts(
    ids: Mapping[str, Sequence[str]], weights: Mapping[str, float], prompts: int
) -> tuple[MixturePart, ...]:
    """Divides steps of `prompts` problems among the data sets; `ids`: usable problems by data set."""
    return tuple(
        MixturePart(path if len(weights) > 1 else "", tuple(sorted(ids[path])), count)
        for path, count in allocate_prompts(weights, prompts).items()
    )


def allocate_prompts(weights: Mapping[str, float], prompts: int) -> dict[str, int]:
    """Divides `prompts` in proportion to the weights, by the largest remainder method (Hamilton)."""
    total = math.fsum(weights.values())
    exact = {name: prompts * weight / total for name, weight in weights.items()}
    counts = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: prompts - sum(counts.values())]:
        counts[name] += 1
    return counts


def interleave(lists: Sequence[Sequence[str]]) -> list[str]:
    """Merges the lists evenly, so that all mini-batches of the result have the same mixture."""
    positions = [
        ((index + 0.5) / len(items), number, item)
        for number, items in enumerate(lists)
        for index, item in enumerate(items)
    ]
    return [item for _, _, item in sorted(positions, key=lambda entry: entry[:2])]


def _too_few_problems_message(part: MixturePart) -> str:
    prompts = f"rollout.prompts is {part.prompts}" if not part.name else f"a step takes {part.prompts}"
    where = f" in {part.name}" if part.name else ""
    return f"{prompts}, but there are {len(part.ids)} problems{where}; lower it"
