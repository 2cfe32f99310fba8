"""The problems behind a run's samples, looked up in the data sets that its config names.

A run writes no pictures of its own: the data set has them all, and at the end of a run, when the report is
first written, it is at hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import ValidationError

from vlm_uec.config import DataConfig
from vlm_uec.errors import UserError
from vlm_uec.report.runs import RunData
from vlm_uec.types import Problem

MAX_SECONDS = 60.0  # of reading, all data sets together
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class FoundProblems(Generic[Kept]):
    """By run, what was kept of its problems, by their id; `notes` says why some are missing."""

    of_run: Sequence[Mapping[str, Kept]]
    notes: Sequence[str]


@dataclass
class _Wanted:
    """What runs on the same data ask for."""

    data: DataConfig
    ids: set[str] = field(default_factory=set)
    runs: list[str] = field(default_factory=list)


def find_problems(
    runs: Sequence[RunData],
    ids: Sequence[Set[str]],
    keep: Callable[[Problem], Kept],
    clock: Callable[[], float] = time.monotonic,
) -> FoundProblems[Kept]:
    """`ids`: what is wanted for each run; `keep`: what of a problem, as pictures are large. Each data set is
    read once, and no further than needed."""
    asked: dict[str, _Wanted] = {}
    keys: list[str] = []
    for run, wanted in zip(runs, ids, strict=True):
        data = _data_of(run) if wanted else None
        keys.append(repr((data.weights, data.train_split)) if data else "")
        if data:
            one = asked.setdefault(keys[-1], _Wanted(data))
            one.ids |= wanted
            one.runs.append(run.name)
    deadline = clock() + MAX_SECONDS
    notes: list[str] = []
    found = {key: _read(one, keep, notes, lambda: clock() > deadline) for key, one in asked.items()}
    return FoundProblems([found.get(key, {}) for key in keys], notes)


def _data_of(run: RunData) -> DataConfig | None:
    try:
        return DataConfig.model_validate(run.settings.get("data", {}))
    except ValidationError:
        return None  # no config, or one of another version


def _read(
    wanted: _Wanted, keep: Callable[[Problem], Kept], notes: list[str], late: Callable[[], bool]
) -> dict[str, Kept]:
    from vlm_uec.data.mixture import stream_mixture  # pyarrow takes seconds

    found: dict[str, Kept] = {}
    why = "they are not in the data any more"
    try:
        for problem in stream_mixture(list(wanted.data.weights), wanted.data.train_split):
            if problem.id in wanted.ids:
                found[problem.id] = keep(problem)
            if len(found) == len(wanted.ids):
                return found
            if late():
                why = f"reading was given up after {MAX_SECONDS:.0f} s"
                break
    except UserError as error:
        why = f"the data is not to be had here, {str(error).partition(';')[0]}"
    missing = len(wanted.ids) - len(found)
    whose = ", ".join(wanted.runs)
    notes.append(
        f"{whose}: question and picture of {missing} of {len(wanted.ids)} problems are missing: {why}"
    )
    return found
