"""Which of a run's sampled responses a report shows: few steps, spread over the run, and a share of each."""

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

MAX_STEPS, MIN_STEPS = 24, 4  # of all runs together, but of each run so many where it has them
MAX_GROUPS = 300  # cards of all runs together, but of each source in each step one
MAX_RESPONSES = 8  # of a group
MAX_FILE_BYTES = 8 << 20
SOURCES = ("regular", "exploration", "replay")
OTHER = "other"
ALL_WRONG, MIXED, ALL_RIGHT = "all wrong", "mixed", "all right"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class SampleGroup:
    """What one source gave to one problem in one step, the responses by advantage, highest first."""

    run: int
    step: int
    source: str
    problem_id: str
    rows: Sequence[Row]

    @property
    def outcome(self) -> str:
        """`all right`, `all wrong` or `mixed`, by accuracy."""
        right = {(number(row.get("reward/accuracy")) or 0.0) >= 1.0 for row in self.rows}
        return MIXED if len(right) > 1 else ALL_RIGHT if True in right else ALL_WRONG

    @cached_property
    def shown(self) -> Sequence[tuple[Row, int]]:
        """The best, the worst and others spread between them, and how many are just alike."""
        alike = Counter((str(row.get("response")), str(row.get("advantage"))) for row in self.rows)
        first: dict[tuple[str, str], Row] = {}
        for row in self.rows:
            first.setdefault((str(row.get("response")), str(row.get("advantage"))), row)
        different = [(row, alike[key]) for key, row in first.items()]
        return [different[place] for place in spread(len(different), MAX_RESPONSES)]


@dataclass(frozen=True)
class ShownSamples:
    """Groups of the latest steps first; `rule` says what was chosen, `notes` what could not be read."""

    groups: Sequence[SampleGroup]
    rule: str
    notes: Sequence[str]


def choose_samples(runs: Sequence[RunData]) -> ShownSamples:
    """Of each run the first and the last step and others evenly between, and of each source in each of them
    the first problems: as many as there is room for, where some have fewer."""
    files = [_files(run) for run in runs]
    share = max(MIN_STEPS, fair_share([len(found) for found in files], MAX_STEPS, MAX_STEPS))
    chosen = [
        (steps[place], run)
        for run, steps in enumerate(map(sorted, files))
        for place in spread(len(steps), share)
    ]
    notes: list[str] = []
    read = [
        groups
        for step, run in sorted(chosen, key=lambda at: (-at[0], at[1]))
        for groups in _groups(_rows(files[run][step], notes), run, step)
    ]
    each = max(1, fair_share([len(groups) for groups in read], MAX_GROUPS, MAX_GROUPS))
    some = "all problems" if each >= max(map(len, read), default=0) else f"the first {each} problems a source"
    whose = "the runs' " if len(runs) > 1 else ""
    rule = (
        f"{len(chosen)} of {whose}{sum(map(len, files))} steps, of each {some}, and of a problem up to "
        f"{MAX_RESPONSES} different responses, by advantage."
    )
    return ShownSamples([group for groups in read for group in groups[:each]], rule, notes)


def spread(length: int, most: int) -> list[int]:
    """Up to `most` places of a list, evenly, the first and the last among them."""
    if length <= most:
        return list(range(length))
    return [place * (length - 1) // (most - 1) for place in range(most)]


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
        rows = [row for row in rows if _whose(row) != _whose(rows[-1])] or rows  # the last group may be cut
        notes.append(f"{path}: over {MAX_FILE_BYTES >> 20} MiB, its first {len(rows)} responses are read")
    return rows


def _groups(rows: Sequence[Row], run: int, step: int) -> list[list[SampleGroup]]:
    """By source, in the order of the file."""
    found: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[_whose(row)].append(row)
    groups = [
        SampleGroup(run, step, source, name, sorted(some, key=_advantage, reverse=True))
        for (source, name), some in found.items()
    ]
    return [[group for group in groups if group.source == source] for source in (*SOURCES, OTHER)]


def _whose(row: Row) -> tuple[str, str]:
    """The source and the problem."""
    source = row.get("source")
    known = source if isinstance(source, str) and source in SOURCES else OTHER
    return known, str(row.get("problem_id"))


def _advantage(row: Row) -> float:
    return number(row.get("advantage")) or 0.0
