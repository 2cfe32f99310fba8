"""Reads several data sets as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vlm_uec.data.dataset import load_problems, stream_problems
from vlm_uec.types import Problem


@dataclass(frozen=True)
class LoadedMixture:
    """The problems of several data sets, one after the other, and the problem ids by data set path."""

    problems: list[Problem]
    ids: Mapping[str, tuple[str, ...]]
    rejected: Counter[str]


def load_mixture(paths: Sequence[str], split: str) -> LoadedMixture:
    """Reads one split of each path. Raises the errors of `load_problems`.

    With several paths, problem ids start with the path, because data sets often use the same numbers.
    """
    problems: list[Problem] = []
    ids: dict[str, tuple[str, ...]] = {}
    rejected: Counter[str] = Counter()
    for path in paths:
        loaded = load_problems(path, split)
        found, reasons = loaded.problems, loaded.rejected
        if len(paths) > 1:
            found = [_prefix_id(problem, path) for problem in found]
            reasons = Counter({f"{path}: {reason}": count for reason, count in reasons.items()})
        problems += found
        ids[path] = tuple(problem.id for problem in found)
        rejected += reasons
    return LoadedMixture(problems, ids, rejected)


def stream_mixture(paths: Sequence[str], split: str) -> Iterator[Problem]:
    """The problems of `load_mixture` one by one; raises the errors of `stream_problems`."""
    for path in paths:
        for item in stream_problems(path, split):
            if isinstance(item, Problem):
                yield _prefix_id(item, path) if len(paths) > 1 else item


def _prefix_id(problem: Problem, path: str) -> Problem:
    return replace(problem, id=f"{path}:{problem.id}")
