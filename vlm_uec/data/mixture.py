"""Several data sets read as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vlm_uec.data.dataset import load_problems, stream_problems
from vlm_uec.types import Problem


@dataclass(frozen=True)
class LoadedMixture:
    """The problems of several data sets in turn, and the ids of each by its path."""

    problems: list[Problem]
    ids: Mapping[str, tuple[str, ...]]
    rejected: Counter[str]


def load_mixture(paths: Sequence[str], split: str) -> LoadedMixture:
    """Reads one split of each path. Where there are several, a problem's id begins with its path: data sets
    number their problems alike. Raises what `load_problems` raises."""
    problems: list[Problem] = []
    ids: dict[str, tuple[str, ...]] = {}
    rejected: Counter[str] = Counter()
    for path in paths:
        loaded = load_problems(path, split)
        named, reasons = loaded.problems, loaded.rejected
        if len(paths) > 1:
            named = [_named(problem, path) for problem in named]
            reasons = Counter({f"{path}: {reason}": count for reason, count in reasons.items()})
        problems += named
        ids[path] = tuple(problem.id for problem in named)
        rejected += reasons
    return LoadedMixture(problems, ids, rejected)


def stream_mixture(paths: Sequence[str], split: str) -> Iterator[Problem]:
    """The problems of `load_mixture` one by one; raises what `stream_problems` raises."""
    for path in paths:
        for item in stream_problems(path, split):
            if isinstance(item, Problem):
                yield _named(item, path) if len(paths) > 1 else item


def _named(problem: Problem, path: str) -> Problem:
    return replace(problem, id=f"{path}:{problem.id}")
