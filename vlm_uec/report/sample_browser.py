"""Sample browser: pictures beside responses, filtered by run, step, source, outcome and advantage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vlm_uec.report.problem_lookup import find_problems
from vlm_uec.report.runs import RunData, number
from vlm_uec.report.sample_groups import (
    ALL_RIGHT,
    ALL_WRONG,
    MIXED,
    OTHER,
    SOURCES,
    Row,
    SampleGroup,
    select_samples,
)
from vlm_uec.types import Problem
from vlm_uec.webpage.cards import MAX_PICTURES, pictures_of, question_of
from vlm_uec.webpage.charts import legend_key
from vlm_uec.webpage.filters import Filter, filter_bar, filter_rules
from vlm_uec.webpage.html import Html, element, text
from vlm_uec.webpage.text_budget import cut, escaped_size, fair_share
from vlm_uec.webpage.thumbnail import MAX_BYTES

MAX_RESPONSE_BYTES = 16_000
MAX_TEXT_BYTES = 5_000_000  # of all responses
MAX_PICTURE_BYTES = 4_000_000  # of all pictures; base64 adds a third
SIGNS = ("positive", "zero", "negative")
STYLE = """
.prompt { display: grid; gap: 4px; align-content: start; } .prompt .pictures { margin: 0; }
.problem.sampled { grid-template-columns: minmax(180px, 300px) minmax(0, 1fr); }
.response { border-top: 1px solid var(--line); margin: 0; padding: 6px 0; }
.chips + .response { border: 0; }
.response summary { font-weight: 400; } .response .chips { display: inline; line-height: 1.9; }
.response .chips span { margin-right: 4px; }
.response pre { margin-top: 6px; } .chips .right { color: var(--right); }
@media (max-width: 800px) { .problem.sampled { grid-template-columns: minmax(0, 1fr); } }
"""


@dataclass(frozen=True)
class SampleBrowser:
    """Elements of the section, CSS of its filters, and notes on unreadable files."""

    parts: Sequence[Html]
    style: str
    notes: Sequence[str]


def sample_browser(runs: Sequence[RunData]) -> SampleBrowser:
    """The browser of all runs' samples; a single sentence if no run has samples."""
    shown = select_samples(runs)
    title = element("h2", text("Samples"))
    if not shown.groups:
        return SampleBrowser([title, element("p", text("No samples were written."))], "", shown.notes)
    picture_bytes = min(MAX_BYTES, MAX_PICTURE_BYTES // len(shown.groups))
    ids = [{group.problem_id for group in shown.groups if group.run == index} for index in range(len(runs))]
    problems = find_problems(runs, ids, lambda problem: _prompt_element(problem, picture_bytes))
    filters, classes = _filters(shown.groups, runs)
    signs = Filter("sign", "advantage", [("all", None), *((name, None) for name in SIGNS)])
    sizes = [
        escaped_size(_response_text(row)[:MAX_RESPONSE_BYTES])
        for group in shown.groups
        for row, _ in group.distinct_responses
    ]
    max_bytes = fair_share(sizes, MAX_TEXT_BYTES, MAX_RESPONSE_BYTES)
    cards = [
        element(
            "li",
            _card(group, runs, problems.by_run[group.run].get(group.problem_id), max_bytes),
            kind=f"filtered {kept} {_signs(group)}",
        )
        for group, kept in zip(shown.groups, classes, strict=True)
    ]
    rule = f"Shown: {shown.rule} Questions and pictures are read from the current data set."
    parts = [
        title,
        element("p", text(rule)),
        filter_bar([*filters, signs]),
        element("ol", *cards, element("li", kind="shown"), kind="problems"),
    ]
    style = filter_rules([*filters, signs]) + "\n" + filter_rules([signs], "response")
    return SampleBrowser(parts, style, [*shown.notes, *problems.notes])


def _prompt_element(problem: Problem, picture_bytes: int) -> Html:
    """Question and pictures (`picture_bytes` in total), rendered now so that large pictures can be freed."""
    shown = min(len(problem.images), MAX_PICTURES)
    pictures = [pictures_of(problem.images, picture_bytes // shown)] if shown else []
    return element("div", *pictures, *question_of(problem), kind="prompt")


def _filters(groups: Sequence[SampleGroup], runs: Sequence[RunData]) -> tuple[list[Filter], list[str]]:
    """Filters of cards, and the CSS classes of each card."""
    steps = list(dict.fromkeys(str(group.step) for group in groups))
    kinds: dict[str, tuple[Sequence[str], Callable[[SampleGroup], str]]] = {
        "run": ([run.name for run in runs], lambda group: runs[group.run].name),
        "step": (steps, lambda group: str(group.step)),
        "source": ((*SOURCES, OTHER), lambda group: group.source),
        "responses": ((ALL_WRONG, MIXED, ALL_RIGHT), lambda group: group.outcome),
    }
    if len(runs) == 1:
        del kinds["run"]
    filters: list[Filter] = []
    classes: list[list[str]] = [[] for _ in groups]
    for name, (options, value_of) in kinds.items():
        members = {
            option: [i for i, group in enumerate(groups) if value_of(group) == option] for option in options
        }
        members = {option: indices for option, indices in members.items() if indices}
        counts = [("all", len(groups)), *((option, len(indices)) for option, indices in members.items())]
        filters.append(Filter(name, name, counts))
        for number_of_option, indices in enumerate(members.values(), 1):
            for index in indices:
                classes[index].append(filters[-1].option_class(number_of_option))
    return filters, [" ".join(names) for names in classes]


def _card(group: SampleGroup, runs: Sequence[RunData], prompt: Html | None, max_bytes: int) -> Html:
    opened = {0, len(group.distinct_responses) - 1}
    responses = [
        _response(row, count, group.step, max_bytes, opened=index in opened)
        for index, (row, count) in enumerate(group.distinct_responses)
    ]
    chips = [f"step {group.step}", group.source, group.outcome]
    shown = sum(count for _, count in group.distinct_responses)
    chips.append(f"{len(group.rows)} responses" + (f", {shown} shown" if shown < len(group.rows) else ""))
    run_key = [legend_key(group.run, runs[group.run].name)] if len(runs) > 1 else []
    head = element("div", *run_key, *(element("span", text(chip)) for chip in chips), kind="chips")
    left = prompt or element(
        "div", element("p", text(cut(group.problem_id, 160)), kind="name"), kind="prompt"
    )
    return element("article", left, element("div", head, *responses), kind="card problem sampled")


def _response(row: Row, count: int, step: int, max_bytes: int, *, opened: bool) -> Html:
    advantage = number(row.get("advantage"))
    sign = _sign(row)
    mark = {"positive": "right", "negative": "wrong"}.get(sign, "")
    label = "no advantage" if advantage is None else f"advantage {f'{advantage:+.2f}' if advantage else 0}"
    chips = [element("span", text(f"× {count}"))] if count > 1 else []
    chips.append(element("span", text(label), kind=mark))
    chips += [element("span", text(fact)) for fact in _facts(row, step)]
    summary = element("summary", element("div", *chips, kind="chips"))
    body = element("pre", text(cut(_response_text(row), max_bytes)))
    kept = f"response sign-{SIGNS.index(sign) + 1}"
    return Html(f'<details class="{kept}"{" open" if opened else ""}>{summary}{body}</details>')


def _facts(row: Row, step: int) -> list[str]:
    facts = []
    if (reward := number(row.get("reward"))) is not None:
        facts.append(f"reward {reward:.2f}")
    if row.get("reason"):
        facts.append(cut(str(row["reason"]), 120))
    if row.get("truncated") is True:
        facts.append("truncated")
    sampled = row.get("sampled_at")
    if isinstance(sampled, int) and sampled != step:
        facts.append(cut(f"sampled at step {sampled}", 40))
    return facts


def _signs(group: SampleGroup) -> str:
    found = dict.fromkeys(_sign(row) for row, _ in group.distinct_responses)
    return " ".join(f"sign-{SIGNS.index(sign) + 1}" for sign in found)


def _sign(row: Row) -> str:
    advantage = number(row.get("advantage")) or 0.0
    return "positive" if advantage > 0 else "negative" if advantage < 0 else "zero"


def _response_text(row: Row) -> str:
    return str(row.get("response", ""))
