"""Looks up the problems of a run's samples in the data sets that its config names.

A run directory contains no pictures; they are read from the data set.
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

MAX_SECONDS = 60.0  # for reading all data sets
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class FoundProblems(Generic[Kept]):
    """For each run, what was kept of its problems by problem id; `notes`: why problems are missing."""

    by_run: Sequence[Mapping[str, Kept]]
    notes: Sequence[str]


@dataclass
class _Lookup:
    """The problem ids requested by runs on the same data."""

    data: DataConfig
    ids: set[str] = field(default_factory=set)
    runs: list[str] = field(default_factory=list)


def find_problems(
    runs: Sequence[RunData],
    ids: Sequence[Set[str]],
    keep: Callable[[Problem], Kept],
    clock: Callable[[], float] = time.monotonic,
) -> FoundProblems[Kept]:
    """Finds problems by id, reading each data set once and only as far as needed.

    `ids`: the problem ids of each run. `keep`: extracts the part of a problem to keep (pictures are large).
    """
    lookups: dict[str, _Lookup] = {}
    keys: list[str] = []
    for run, run_ids in zip(runs, ids, strict=True):
        data = _data_of(run) if run_ids else None
        keys.append(repr((data.weights, data.train_split)) if data else "")
        if data:
            lookup = lookups.setdefault(keys[-1], _Lookup(data))
            lookup.ids |= run_ids
            lookup.runs.append(run.name)
    deadline = clock() + MAX_SECONDS
    notes: list[str] = []
    found = {
        key: _read_problems(lookup, keep, notes, lambda: clock() > deadline)
        for key, lookup in lookups.items()
    }
    return FoundProblems([found.get(key, {}) for key in keys], notes)


def _data_of(run: RunData) -> DataConfig | None:
    try:
        return DataConfig.model_validate(run.settings.get("data", {}))
    except ValidationError:
        return None  # no config, or a config of another version


def _read_problems(
    lookup: _Lookup, keep: Callable[[Problem], Kept], notes: list[str], timed_out: Callable[[], bool]
) -> dict[str, Kept]:
    from vlm_uec.data.mixture import stream_mixture  # importing pyarrow takes seconds

    found: dict[str, Kept] = {}
    reason = "they are no longer in the data set"
    try:
        for problem in stream_mixture(list(lookup.data.weights), lookup.data.train_split):
            if problem.id in lookup.ids:
                found[problem.id] = keep(problem)
            if len(found) == len(lookup.ids):
                return found
            if timed_out():
                reason = f"reading was stopped after {MAX_SECONDS:.0f} s"
                break
    except UserError as error:
        reason = f"the data set is not available: {str(error).partition(';')[0]}"
    missing = len(lookup.ids) - len(found)
    runs = ", ".join(lookup.runs)
    notes.append(
        f"{runs}: question and picture of {missing} of {len(lookup.ids)} problems are missing: {reason}"
    )
    return found
