"""Selects the sampled responses that a report shows: a few steps, spread evenly over each run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vlm_uec.errors import UserError
from vlm_uec.report.runs import RunData, number
from vlm_uec.telemetry.writers import read_jsonl
from vlm_uec.webpage.text_budget import fair_share

MAX_STEPS, MIN_STEPS = 24, 4  # of all runs, and at least of each run (if it has that many)
MAX_GROUPS = 300  # cards of all runs, but at least one per source and step
MAX_RESPONSES = 8  # per group
MAX_FILE_BYTES = 8 << 20
SOURCES = ("regular", "exploration", "replay")
OTHER = "other"
ALL_WRONG, MIXED, ALL_RIGHT = "all wrong", "mixed", "all right"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class SampleGroup:
    """The responses of one source to one problem in one step, sorted by descending advantage."""

    run: int
    step: int
    source: str
    problem_id: str
    rows: Sequence[Row]

    @property
    def outcome(self) -> str:
        """`ALL_RIGHT`, `ALL_WRONG` or `MIXED`, by accuracy."""
        right = {(number(row.get("reward/accuracy")) or 0.0) >= 1.0 for row in self.rows}
        return MIXED if len(right) > 1 else ALL_RIGHT if True in right else ALL_WRONG

    @cached_property
    def distinct_responses(self) -> Sequence[tuple[Row, int]]:
        """Up to `MAX_RESPONSES` distinct responses, from best to worst, each with its multiplicity."""
        duplicates = Counter((str(row.get("response")), str(row.get("advantage"))) for row in self.rows)
        first: dict[tuple[str, str], Row] = {}
        for row in self.rows:
            first.setdefault((str(row.get("response")), str(row.get("advantage"))), row)
        distinct = [(row, duplicates[key]) for key, row in first.items()]
        return [distinct[index] for index in evenly_spaced(len(distinct), MAX_RESPONSES)]


@dataclass(frozen=True)
class SelectedSamples:
    """Groups, latest steps first; `rule` describes the selection, `notes` lists unreadable files."""

    groups: Sequence[SampleGroup]
    rule: str
    notes: Sequence[str]


def select_samples(runs: Sequence[RunData]) -> SelectedSamples:
    """Selects evenly spaced steps of each run, and the first problems of each source in these steps.

    The limits are shared: what a short run or a small group does not use is available to the others.
    """
    files = [_files(run) for run in runs]
    share = max(MIN_STEPS, fair_share([len(found) for found in files], MAX_STEPS, MAX_STEPS))
    chosen = [
        (steps[index], run)
        for run, steps in enumerate(map(sorted, files))
        for index in evenly_spaced(len(steps), share)
    ]
    notes: list[str] = []
    read = [
        groups
        for step, run in sorted(chosen, key=lambda pair: (-pair[0], pair[1]))
        for groups in _groups(_rows(files[run][step], notes), run, step)
    ]
    max_groups = max(1, fair_share([len(groups) for groups in read], MAX_GROUPS, MAX_GROUPS))
    complete = max_groups >= max(map(len, read), default=0)
    problems = "all problems" if complete else f"the first {max_groups} problems per source"
    scope = " of all runs" if len(runs) > 1 else ""
    rule = (
        f"{len(chosen)} of {sum(map(len, files))} steps{scope}, {problems} of each step, and up to "
        f"{MAX_RESPONSES} different responses per problem, sorted by advantage."
    )
    return SelectedSamples([group for groups in read for group in groups[:max_groups]], rule, notes)


def evenly_spaced(length: int, count: int) -> list[int]:
    """Up to `count` evenly spaced indices of a list, including the first and the last."""
    if length <= count:
        return list(range(length))
    return [index * (length - 1) // (count - 1) for index in range(count)]


def _files(run: RunData) -> dict[int, Path]:
    named = {path.stem.removeprefix("step_"): path for path in (run.path / "samples").glob("step_*.jsonl")}
    return {int(name): path for name, path in named.items() if name.isdecimal() and len(name) < 19}


def _rows(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    try:
        rows = read_jsonl(path, MAX_FILE_BYTES)
        over = path.stat().st_size > MAX_FILE_BYTES
    except (UserError, OSError) as error:
        notes.append(f"{error}; the samples of this step are left out")
        return []
    if over:
        # The last group may be incomplete.
        rows = [row for row in rows if _group_key(row) != _group_key(rows[-1])] or rows
        notes.append(
            f"{path}: over {MAX_FILE_BYTES >> 20} MiB, only its first {len(rows)} responses are read"
        )
    return rows


def _groups(rows: Sequence[Row], run: int, step: int) -> list[list[SampleGroup]]:
    """Groups by source, in file order within a source."""
    found: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[_group_key(row)].append(row)
    groups = [
        SampleGroup(run, step, source, name, sorted(members, key=_advantage, reverse=True))
        for (source, name), members in found.items()
    ]
    return [[group for group in groups if group.source == source] for source in (*SOURCES, OTHER)]


def _group_key(row: Row) -> tuple[str, str]:
    """The source and the problem."""
    source = row.get("source")
    known = source if isinstance(source, str) and source in SOURCES else OTHER
    return known, str(row.get("problem_id"))


def _advantage(row: Row) -> float:
    return number(row.get("advantage")) or 0.0
