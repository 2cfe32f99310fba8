"""Filters of the problems on a page: by outcome of the responses, and by the groups of the breakdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.breakdown import Groups
from eval.samples import Sample
from vlm_uec.webpage.filters import Filter

MAX_KINDS = 8  # of the breakdown

ALL_WRONG, MIXED, ALL_RIGHT = "all wrong", "mixed", "all right"
DISAGREE, TRUNCATED, NOTHING_EXTRACTED = "scorers disagree", "truncated", "nothing extracted"


@dataclass(frozen=True)
class ProblemFilters:
    """The filters, and the CSS classes of each card by problem id."""

    filters: Sequence[Filter]
    classes: Mapping[str, str]


def scorers_disagree(sample: Sample) -> bool:
    return len({score.correct for score in sample.scores.values()}) > 1


def outcomes(samples: Sequence[Sample], primary: str) -> set[str]:
    """The outcomes of a problem by the scorer `primary`; see the filter names above."""
    verdicts = {sample.scores[primary].correct for sample in samples}
    found = {MIXED if len(verdicts) > 1 else ALL_RIGHT if True in verdicts else ALL_WRONG}
    found |= {DISAGREE} if any(map(scorers_disagree, samples)) else set()
    found |= {TRUNCATED} if any(sample.truncated for sample in samples) else set()
    found |= {NOTHING_EXTRACTED} if any(not sample.scores[primary].extracted for sample in samples) else set()
    return found


def problem_filters(groups: Mapping[str, Sequence[Sample]], primary: str, kinds: Groups) -> ProblemFilters:
    """`groups`: a problem's samples by its id; `kinds`: the breakdown's groups of the same problems."""
    found = {name: outcomes(samples, primary) for name, samples in groups.items()}
    several = any(len(sample.scores) > 1 for samples in groups.values() for sample in samples)
    names = [ALL_WRONG, MIXED, ALL_RIGHT, *([DISAGREE] if several else []), TRUNCATED, NOTHING_EXTRACTED]
    by_outcome = {name: [problem for problem, outcome in found.items() if name in outcome] for name in names}
    tables = {"responses": by_outcome, **dict(list(kinds.items())[:MAX_KINDS])}
    filters, classes = [], defaultdict(list)
    for index, (kind, members) in enumerate(tables.items()):
        options = [("all", len(groups)), *((name, len(ids)) for name, ids in members.items())]
        filters.append(Filter(f"filter{index}", kind, options))
        for number, ids in enumerate(members.values(), 1):
            for problem in ids:
                classes[problem].append(filters[-1].option_class(number))
    return ProblemFilters(filters, {name: " ".join(classes[name]) for name in groups})
