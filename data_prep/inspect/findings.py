"""Tables and histograms of the splits, side by side, for the console and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from data_prep.inspect.budget import PixelBudget
from data_prep.inspect.scan import ProblemStats, SplitStats
from data_prep.inspect.shorten import shorten
from vlm_uec.data.answer_form import ANSWER_FORMS
from vlm_uec.webpage.distribution import Histogram, describe, histogram

MAX_ROWS = 15  # of a table of counts: a data set may have any number of types
MAX_LABEL = 60  # characters

_SUMMARY_HEADERS = ("least", "mean", "median", "95th %", "most")


@dataclass(frozen=True)
class StatisticsTable:
    """Cells as text; the first column names the row."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Findings:
    """All statistics except duplicates and pictures."""

    contents: tuple[StatisticsTable, ...]
    sizes: StatisticsTable
    histograms: Mapping[str, Histogram]  # by title; the one for the token budget comes first


def compute_findings(
    splits: Sequence[SplitStats],
    rejected_by_data_prep: Mapping[str, Counter[str]],
    budget: PixelBudget,
    max_prompt_tokens: int,
) -> Findings:
    """`rejected_by_data_prep`: number of rows that data_prep rejected, by split and reason."""
    measures = _measures(budget)
    values = {
        name: {split.name: _flat(map(measure, split.problems)) for split in splits}
        for name, measure in measures.items()
    }
    contents = (
        _problems(splits, rejected_by_data_prep),
        _counts("Answer forms", splits, lambda problem: problem.answer_form, ANSWER_FORMS),
        _counts("Answers read from", splits, lambda problem: problem.answer_read_from),
        _counts("Question types", splits, lambda problem: problem.question_type),
        _counts("Answer types", splits, lambda problem: problem.answer_type),
        _counts("Pictures a problem", splits, lambda problem: str(len(problem.pictures))),
        _budget(splits, budget, max_prompt_tokens),
    )
    shown = [name for name in reversed(measures) if any(values[name].values())]
    return Findings(contents, _sizes(values), {name: histogram(values[name]) for name in shown})


def _measures(budget: PixelBudget) -> dict[str, Callable[[ProblemStats], list[int]]]:
    """The measured quantities, in processing order from picture to tokens."""
    return {
        "Width as stored": lambda problem: [picture.width for picture in problem.pictures],
        "Height as stored": lambda problem: [picture.height for picture in problem.pictures],
        "Pixels as stored": lambda problem: [picture.width * picture.height for picture in problem.pictures],
        "Pixels in the budget": lambda problem: [
            budget.pixels(picture.width, picture.height) for picture in problem.pictures
        ],
        "Image tokens a problem": lambda problem: [
            sum(budget.tokens(picture.width, picture.height) for picture in problem.pictures)
        ],
        "Prompt tokens": lambda problem: [] if problem.prompt_tokens is None else [problem.prompt_tokens],
    }


def _flat(values: Iterable[list[int]]) -> list[int]:
    return [value for group in values for value in group]


def _problems(
    splits: Sequence[SplitStats], rejected_by_data_prep: Mapping[str, Counter[str]]
) -> StatisticsTable:
    rows = [_row("problems", [len(split.problems) for split in splits])]
    rows += _left_out_rows("left out", [split.left_out for split in splits])
    rejected = [rejected_by_data_prep.get(split.name, Counter()) for split in splits]
    rows += _left_out_rows("left out by data_prep", rejected)
    return StatisticsTable("Problems", ("", *_names(splits)), tuple(rows))


def _left_out_rows(label: str, by_split: Sequence[Counter[str]]) -> list[tuple[str, ...]]:
    return [_row(f"{label}: {name}", numbers) for name, numbers in _most_common(by_split)]


def _counts(
    title: str, splits: Sequence[SplitStats], kind: Callable[[ProblemStats], str], order: Sequence[str] = ()
) -> StatisticsTable:
    counters = [Counter(map(kind, split.problems)) for split in splits]
    rows = _most_common(counters)
    if order:
        rows.sort(key=lambda row: order.index(row[0]))
    totals = [len(split.problems) for split in splits]
    cells = [
        (name, *(_with_share(number, total) for number, total in zip(numbers, totals, strict=True)))
        for name, numbers in rows
    ]
    return StatisticsTable(title, ("", *_names(splits)), tuple(cells))


def _most_common(counters: Sequence[Counter[str]]) -> list[tuple[str, list[int]]]:
    """Rows with one number per split, the most common first; rows beyond `MAX_ROWS` are summed in one row."""
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    names = [name for name, _ in total.most_common()]
    rows = [(shorten(name, MAX_LABEL), [counter[name] for counter in counters]) for name in names[:MAX_ROWS]]
    if rest := names[MAX_ROWS:]:
        rows.append((f"({len(rest)} more)", [sum(counter[name] for name in rest) for counter in counters]))
    return rows


def _sizes(values: Mapping[str, Mapping[str, Sequence[int]]]) -> StatisticsTable:
    rows = []
    for name, by_split in values.items():
        for split, numbers in by_split.items():
            if summary := describe(numbers):
                cells = (summary.minimum, summary.mean, summary.median, summary.p95, summary.maximum)
                rows.append((name, shorten(split, MAX_LABEL), *map(_number, cells)))
    return StatisticsTable("Sizes and tokens", ("", "split", *_SUMMARY_HEADERS), tuple(rows))


def _budget(splits: Sequence[SplitStats], budget: PixelBudget, max_prompt_tokens: int) -> StatisticsTable:
    pictures = [
        [(picture.width, picture.height) for problem in split.problems for picture in problem.pictures]
        for split in splits
    ]
    rows = [
        _row("pictures", [len(sizes) for sizes in pictures]),
        _row(
            f"enlarged to {budget.min_pixels} pixels",
            [sum(budget.enlarges(*size) for size in sizes) for sizes in pictures],
        ),
        _row(
            f"shrunk to {budget.max_pixels} pixels",
            [sum(budget.shrinks(*size) for size in sizes) for sizes in pictures],
        ),
    ]
    if any(problem.prompt_tokens is not None for split in splits for problem in split.problems):
        over = [
            sum((problem.prompt_tokens or 0) > max_prompt_tokens for problem in split.problems)
            for split in splits
        ]
        rows.append(_row(f"prompts over {max_prompt_tokens} tokens", over))
    return StatisticsTable("Budget", ("", *_names(splits)), tuple(rows))


def _names(splits: Sequence[SplitStats]) -> list[str]:
    return [shorten(split.name, MAX_LABEL) for split in splits]


def _row(name: str, numbers: Iterable[int]) -> tuple[str, ...]:
    return (name, *map(str, numbers))


def _number(value: float) -> str:
    return f"{value:.1f}" if isinstance(value, float) and value < 1000 else f"{value:,.0f}"


def _with_share(number: int, total: int) -> str:
    return f"{number} ({100 * number / total:.1f}%)" if total else "0"
