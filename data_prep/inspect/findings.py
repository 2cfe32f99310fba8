"""What the console and the page both show: tables and histograms of the splits, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from data_prep.inspect.budget import PixelBudget
from data_prep.inspect.survey import ProblemFacts, SplitFacts
from data_prep.inspect.wording import shortened
from vlm_uec.data.answer_form import ANSWER_FORMS
from vlm_uec.webpage.distribution import Histogram, describe, histogram

MAX_ROWS = 15  # of a table of counts: a data set may name its types as it likes
MAX_LABEL = 60  # characters

_SUMMARY_HEADERS = ("least", "mean", "median", "95th %", "most")


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the row."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Findings:
    """Everything but repeats and pictures."""

    contents: tuple[Table, ...]
    sizes: Table
    histograms: Mapping[str, Histogram]  # by title; the one that the token budget is about comes first


def find(
    splits: Sequence[SplitFacts],
    left_out_before: Mapping[str, Counter[str]],
    budget: PixelBudget,
    max_prompt_tokens: int,
) -> Findings:
    """`left_out_before`: by split and reason, what data_prep had left out already."""
    measures = _measures(budget)
    values = {
        name: {split.name: _flat(map(measure, split.problems)) for split in splits}
        for name, measure in measures.items()
    }
    contents = (
        _problems(splits, left_out_before),
        _counts("Answer forms", splits, lambda problem: problem.answer_form, ANSWER_FORMS),
        _counts("Question types", splits, lambda problem: problem.question_type),
        _counts("Answer types", splits, lambda problem: problem.answer_type),
        _counts("Pictures a problem", splits, lambda problem: str(len(problem.pictures))),
        _budget(splits, budget, max_prompt_tokens),
    )
    shown = [name for name in reversed(measures) if any(values[name].values())]
    return Findings(contents, _sizes(values), {name: histogram(values[name]) for name in shown})


def _measures(budget: PixelBudget) -> dict[str, Callable[[ProblemFacts], list[int]]]:
    """What is measured, in the order in which a picture becomes tokens."""
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
    return [value for some in values for value in some]


def _problems(splits: Sequence[SplitFacts], left_out_before: Mapping[str, Counter[str]]) -> Table:
    rows = [_row("problems", [len(split.problems) for split in splits])]
    rows += _left_out_rows("left out", [split.left_out for split in splits])
    before = [left_out_before.get(split.name, Counter()) for split in splits]
    rows += _left_out_rows("left out by data_prep", before)
    return Table("Problems", ("", *_names(splits)), tuple(rows))


def _left_out_rows(what: str, by_split: Sequence[Counter[str]]) -> list[tuple[str, ...]]:
    return [_row(f"{what}: {name}", numbers) for name, numbers in _most_common(by_split)]


def _counts(
    title: str, splits: Sequence[SplitFacts], kind: Callable[[ProblemFacts], str], order: Sequence[str] = ()
) -> Table:
    counters = [Counter(map(kind, split.problems)) for split in splits]
    rows = _most_common(counters)
    if order:
        rows.sort(key=lambda row: order.index(row[0]))
    totals = [len(split.problems) for split in splits]
    cells = [
        (name, *(_with_share(number, total) for number, total in zip(numbers, totals, strict=True)))
        for name, numbers in rows
    ]
    return Table(title, ("", *_names(splits)), tuple(cells))


def _most_common(counters: Sequence[Counter[str]]) -> list[tuple[str, list[int]]]:
    """Rows of one number a split, the most common first; what is beyond `MAX_ROWS` becomes one row."""
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    names = [name for name, _ in total.most_common()]
    rows = [
        (shortened(name, MAX_LABEL), [counter[name] for counter in counters]) for name in names[:MAX_ROWS]
    ]
    if rest := names[MAX_ROWS:]:
        rows.append((f"({len(rest)} more)", [sum(counter[name] for name in rest) for counter in counters]))
    return rows


def _sizes(values: Mapping[str, Mapping[str, Sequence[int]]]) -> Table:
    rows = []
    for name, by_split in values.items():
        for split, numbers in by_split.items():
            if summary := describe(numbers):
                cells = (summary.minimum, summary.mean, summary.median, summary.p95, summary.maximum)
                rows.append((name, shortened(split, MAX_LABEL), *map(_number, cells)))
    return Table("Sizes and tokens", ("", "split", *_SUMMARY_HEADERS), tuple(rows))


def _budget(splits: Sequence[SplitFacts], budget: PixelBudget, max_prompt_tokens: int) -> Table:
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
    return Table("Budget", ("", *_names(splits)), tuple(rows))


def _names(splits: Sequence[SplitFacts]) -> list[str]:
    return [shortened(split.name, MAX_LABEL) for split in splits]


def _row(name: str, numbers: Iterable[int]) -> tuple[str, ...]:
    return (name, *map(str, numbers))


def _number(value: float) -> str:
    return f"{value:.1f}" if isinstance(value, float) and value < 1000 else f"{value:,.0f}"


def _with_share(number: int, total: int) -> str:
    return f"{number} ({100 * number / total:.1f}%)" if total else "0"
