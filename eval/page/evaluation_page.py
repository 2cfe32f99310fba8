"""The self-contained HTML page of an evaluation, and its charts as SVG files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.breakdown import group_problems
from eval.page.filters import problem_filters
from eval.page.problems import problem_cards
from eval.page.result_charts import CURVE_TITLE, LENGTHS_TITLE, length_histogram, pass_curve
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
    """Writes the page. `problems`: by id, including those of all samples. Raises OSError if writing fails."""
    groups = _by_problem(problems, samples)
    shown = dict(list(groups.items())[:MAX_PROBLEMS])
    primary = next(iter(summary["scores"]))
    kinds = group_problems(problems[name] for name in shown)
    filtering = problem_filters(shown, primary, kinds)
    title = cut(f"Evaluation of {summary.get('model', {}).get('path', 'a model')}", 160)
    body = [
        element("header", element("h1", text(title)), tiles(summary)),
        *_results(summary, samples),
        element("h2", text("Problems")),
        element("p", text(_note(primary, len(shown), len(groups)))),
        filter_bar(filtering.filters),
        _problem_list(problem_cards(shown, problems, filtering.classes)),
    ]
    document = page(title, body, CARD_STYLE + STYLE + filter_style(filtering.filters))
    atomic_write(path, [document.encode("utf-8", "replace")])


def write_plots(directory: Path, summary: Mapping[str, Any], samples: Sequence[Sample]) -> None:
    """Writes `pass_at_k.svg`, and `response_tokens.svg` if lengths are known. Raises OSError."""
    plots = {
        "pass_at_k.svg": (CURVE_TITLE, pass_curve(summary), "k, samples drawn", "problems solved, %"),
        "response_tokens.svg": (
            LENGTHS_TITLE,
            length_histogram(samples),
            "tokens of a response",
            "responses",
        ),
    }
    for name, (title, drawing, x_name, y_name) in plots.items():
        if drawing.parts:
            atomic_write(
                directory / name, [figure(title, drawing, x_name, y_name).encode("utf-8", "replace")]
            )


def _by_problem(problems: Mapping[str, Problem], samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Samples by problem id, in data set order, sorted by index."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: sample.index):
        found[sample.problem_id].append(sample)
    return {name: found[name] for name in problems if name in found}


def _results(summary: Mapping[str, Any], samples: Sequence[Sample]) -> list[Html]:
    drawings = {CURVE_TITLE: pass_curve(summary), LENGTHS_TITLE: length_histogram(samples)}
    charts = [card(title, drawing) for title, drawing in drawings.items() if drawing.parts]
    about, breakdown = about_tables(summary), breakdown_tables(summary)
    return [
        element("h2", text("Results")),
        element("div", main_table(summary), *charts, kind="results"),
        *_folded_section("Breakdown", breakdown),
        *_folded_section("Settings, model and data", about),
    ]


def _folded_section(title: str, cards: Sequence[Html]) -> list[Html]:
    if not cards:
        return []
    opened = element("div", *cards, kind="wide")
    return [element("details", element("summary", text(title)), opened)]


def _note(primary: str, shown: int, problems: int) -> str:
    limited = f"The first {shown} of {problems} problems. " if shown < problems else ""
    return (
        f"{limited}Right and wrong are verdicts of {primary}. 'scorers disagree', 'truncated' and "
        "'nothing extracted' apply to problems with at least one such response."
    )


def _problem_list(cards: Sequence[Html]) -> Html:
    return element("ol", *cards, element("li", kind="shown"), kind="problems")
