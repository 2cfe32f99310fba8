"""An evaluation as one page that opens offline, and its charts as files for a paper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.breakdown import groups_of
from eval.page.filters import problem_filters
from eval.page.problems import problem_cards
from eval.page.result_charts import CURVE, LENGTHS, lengths, pass_curve
from eval.page.result_tables import about_tables, breakdown_tables, main_table, tiles
from eval.page.style import STYLE
from eval.samples import Sample
from vlm_uec.io.durable import atomic_write
from vlm_uec.types import Problem
from vlm_uec.webpage.cards import STYLE as CARD_STYLE
from vlm_uec.webpage.charts import card, figure
from vlm_uec.webpage.filters import filter_bar, filter_style
from vlm_uec.webpage.html import Html, element, page, text
from vlm_uec.webpage.text_budget import cut

MAX_PROBLEMS = 2000  # cards


def write_page(
    path: Path, summary: Mapping[str, Any], problems: Mapping[str, Problem], samples: Sequence[Sample]
) -> None:
    """`problems`: by id, with one of each sample at least. Raises OSError where it cannot be written."""
    groups = _by_problem(problems, samples)
    shown = dict(list(groups.items())[:MAX_PROBLEMS])
    primary = next(iter(summary["scores"]))
    kinds = groups_of(problems[name] for name in shown)
    narrowed = problem_filters(shown, primary, kinds)
    title = cut(f"Evaluation of {summary.get('model', {}).get('path', 'a model')}", 160)
    body = [
        element("header", element("h1", text(title)), tiles(summary)),
        *_numbers(summary, samples),
        element("h2", text("Problems")),
        element("p", text(_note(primary, len(shown), len(groups)))),
        filter_bar(narrowed.filters),
        _list(problem_cards(shown, problems, narrowed.classes)),
    ]
    document = page(title, body, CARD_STYLE + STYLE + filter_style(narrowed.filters))
    atomic_write(path, [document.encode("utf-8", "replace")])


def write_plots(directory: Path, summary: Mapping[str, Any], samples: Sequence[Sample]) -> None:
    """`pass_at_k.svg`, and `response_tokens.svg` where lengths are known. Raises OSError."""
    plots = {
        "pass_at_k.svg": (CURVE, pass_curve(summary), "k, samples drawn", "problems solved, %"),
        "response_tokens.svg": (LENGTHS, lengths(samples), "tokens of a response", "responses"),
    }
    for name, (title, drawing, across, up) in plots.items():
        if drawing.parts:
            atomic_write(directory / name, [figure(title, drawing, across, up).encode("utf-8", "replace")])


def _by_problem(problems: Mapping[str, Problem], samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """In the data set's order, and by index."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.index):
        found[sample.problem_id].append(sample)
    return {name: found[name] for name in problems if name in found}


def _numbers(summary: Mapping[str, Any], samples: Sequence[Sample]) -> list[Html]:
    drawings = {CURVE: pass_curve(summary), LENGTHS: lengths(samples)}
    charts = [card(title, drawing) for title, drawing in drawings.items() if drawing.parts]
    about, breakdown = about_tables(summary), breakdown_tables(summary)
    return [
        element("h2", text("Results")),
        element("div", main_table(summary), *charts, kind="results"),
        *_folded("Breakdown", breakdown),
        *_folded("Settings, model and data", about),
    ]


def _folded(title: str, cards: Sequence[Html]) -> list[Html]:
    if not cards:
        return []
    opened = element("div", *cards, kind="wide")
    return [element("details", element("summary", text(title)), opened)]


def _note(primary: str, shown: int, problems: int) -> str:
    some = f"The first {shown} of {problems} problems. " if shown < problems else ""
    return (
        f"{some}Right and wrong are {primary}'s. Scorers disagree, truncated, nothing extracted: "
        "at least one response is so."
    )


def _list(cards: Sequence[Html]) -> Html:
    return element("ol", *cards, element("li", kind="shown"), kind="problems")
