"""Problems of each step, determined by seed and step alone, so that a resumed run takes the same ones.

In a mixture every step takes a fixed number of problems from each data set, in proportion to its weight;
each data set has its own epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.errors import UserError
from vlm_uec.rng import keyed_generator


@dataclass(frozen=True)
class Part:
    """What one data set gives to every step."""

    name: str
    ids: tuple[str, ...]
    prompts: int


class Schedule:
    """The order of a run's problems."""

    def __init__(self, parts: Sequence[Part], seed: int) -> None:
        """Raises `UserError` where a data set gives nothing to a step, or has too few problems for one."""
        for part in parts:
            if part.prompts == 0:
                raise UserError(
                    f"data.mixture: {part.name} gets no prompt of a step; raise its weight or rollout.prompts"
                )
            if part.prompts > len(part.ids):
                raise UserError(_too_few(part))
        self._parts, self._seed = parts, seed

    def step(self, step: int) -> list[str]:
        """The problem ids of a trainer step (1, 2, ...), none of them twice."""
        return spread([self._taken(part, step) for part in self._parts])

    def _taken(self, part: Part, step: int) -> list[str]:
        """Every epoch has its own order and holds whole steps only; the remainder varies."""
        epoch, place = divmod(step - 1, len(part.ids) // part.prompts)
        key = ("epoch", epoch, part.name) if len(self._parts) > 1 else ("epoch", epoch)
        order = keyed_generator(self._seed, *key).permutation(len(part.ids))
        return [part.ids[index] for index in order[place * part.prompts : (place + 1) * part.prompts]]


def parts_of(
    ids: Mapping[str, Sequence[str]], weights: Mapping[str, float], prompts: int
) -> tuple[Part, ...]:
    """Each data set's part in steps of `prompts`; `ids`: its usable problems."""
    return tuple(
        Part(path if len(weights) > 1 else "", tuple(sorted(ids[path])), count)
        for path, count in shares(weights, prompts).items()
    )


def shares(weights: Mapping[str, float], prompts: int) -> dict[str, int]:
    """`prompts` dealt out in proportion to the weights, by largest remainders (Hamilton's rule)."""
    total = math.fsum(weights.values())
    exact = {name: prompts * weight / total for name, weight in weights.items()}
    dealt = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: dealt[name] - exact[name])
    for name in by_remainder[: prompts - sum(dealt.values())]:
        dealt[name] += 1
    return dealt


def spread(lists: Sequence[Sequence[str]]) -> list[str]:
    """The lists merged evenly, so that mini-batches cut from the result hold the same mixture."""
    places = [
        ((place + 0.5) / len(items), number, item)
        for number, items in enumerate(lists)
        for place, item in enumerate(items)
    ]
    return [item for _, _, item in sorted(places, key=lambda entry: entry[:2])]


def _too_few(part: Part) -> str:
    taken = f"rollout.prompts is {part.prompts}" if not part.name else f"a step takes {part.prompts}"
    where = f" in {part.name}" if part.name else ""
    return f"{taken}, but there are {len(part.ids)} problems{where}; lower it"
