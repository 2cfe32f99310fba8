"""The sample browser: problems' pictures beside responses, by run, step, source, outcome and advantage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vlm_uec.report.prompts import find_problems
from vlm_uec.report.runs import RunData, number
from vlm_uec.report.sample_groups import (
    ALL_RIGHT,
    ALL_WRONG,
    MIXED,
    OTHER,
    SOURCES,
    Row,
    SampleGroup,
    choose_samples,
)
from vlm_uec.types import Problem
from vlm_uec.webpage.cards import MAX_PICTURES, pictures_of, question_of
from vlm_uec.webpage.charts import legend_key
from vlm_uec.webpage.filters import Filter, filter_bar, filter_rules
from vlm_uec.webpage.html import Html, element, text
from vlm_uec.webpage.text_budget import cut, fair_share, written
from vlm_uec.webpage.thumbnail import MAX_BYTES

MAX_RESPONSE_BYTES = 16_000
MAX_TEXT_BYTES = 5_000_000  # of all responses together
MAX_PICTURE_BYTES = 4_000_000  # of all together; a third more as text
SIGNS = ("positive", "zero", "negative")
STYLE = """
.asked { display: grid; gap: 4px; align-content: start; } .asked .pictures { margin: 0; }
.problem.sampled { grid-template-columns: minmax(180px, 300px) minmax(0, 1fr); }
.response { border-top: 1px solid var(--line); margin: 0; padding: 6px 0; }
.chips + .response { border: 0; }
.response summary { font-weight: 400; } .response .chips { display: inline; line-height: 1.9; }
.response .chips span { margin-right: 4px; }
.response pre { margin-top: 6px; } .chips .right { color: var(--right); }
@media (max-width: 800px) { .problem.sampled { grid-template-columns: minmax(0, 1fr); } }
"""


@dataclass(frozen=True)
class Browser:
    """The section of a page, the rules of its filters, and what could not be read."""

    parts: Sequence[Html]
    style: str
    notes: Sequence[str]


def sample_browser(runs: Sequence[RunData]) -> Browser:
    """Nothing but a sentence where no run has samples."""
    shown = choose_samples(runs)
    title = element("h2", text("Samples"))
    if not shown.groups:
        return Browser([title, element("p", text("No samples were written."))], "", shown.notes)
    most = min(MAX_BYTES, MAX_PICTURE_BYTES // len(shown.groups))
    ids = [{group.problem_id for group in shown.groups if group.run == place} for place in range(len(runs))]
    problems = find_problems(runs, ids, lambda problem: _asked(problem, most))
    filters, classes = _filters(shown.groups, runs)
    signs = Filter("sign", "advantage", [("all", None), *((name, None) for name in SIGNS)])
    sizes = [written(_said(row)[:MAX_RESPONSE_BYTES]) for group in shown.groups for row, _ in group.shown]
    room = fair_share(sizes, MAX_TEXT_BYTES, MAX_RESPONSE_BYTES)
    cards = [
        element(
            "li",
            _card(group, runs, problems.of_run[group.run].get(group.problem_id), room),
            kind=f"filtered {kept} {_signs(group)}",
        )
        for group, kept in zip(shown.groups, classes, strict=True)
    ]
    rule = f"Shown are {shown.rule} Questions and pictures are the data set's as it is now."
    parts = [
        title,
        element("p", text(rule)),
        filter_bar([*filters, signs]),
        element("ol", *cards, element("li", kind="shown"), kind="problems"),
    ]
    style = filter_rules([*filters, signs]) + "\n" + filter_rules([signs], "response")
    return Browser(parts, style, [*shown.notes, *problems.notes])


def _asked(problem: Problem, most: int) -> Html:
    """Made at once, so that large pictures need not be kept; `most`: bytes of all of them."""
    count = min(len(problem.images), MAX_PICTURES)
    pictures = [pictures_of(problem.images, most // count)] if count else []
    return element("div", *pictures, *question_of(problem), kind="asked")


def _filters(groups: Sequence[SampleGroup], runs: Sequence[RunData]) -> tuple[list[Filter], list[str]]:
    """Filters of whole cards, and each card's classes."""
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
    for name, (options, of) in kinds.items():
        members = {option: [i for i, group in enumerate(groups) if of(group) == option] for option in options}
        members = {option: places for option, places in members.items() if places}
        counts = [("all", len(groups)), *((option, len(places)) for option, places in members.items())]
        filters.append(Filter(name, name, counts))
        for number_of_option, places in enumerate(members.values(), 1):
            for place in places:
                classes[place].append(filters[-1].kept_by(number_of_option))
    return filters, [" ".join(some) for some in classes]


def _card(group: SampleGroup, runs: Sequence[RunData], asked: Html | None, room: int) -> Html:
    opened = {0, len(group.shown) - 1}
    responses = [
        _response(row, alike, group.step, room, opened=place in opened)
        for place, (row, alike) in enumerate(group.shown)
    ]
    chips = [f"step {group.step}", group.source, group.outcome]
    told = sum(alike for _, alike in group.shown)
    chips.append(f"{len(group.rows)} responses" + (f", {told} told of" if told < len(group.rows) else ""))
    whose = [legend_key(group.run, runs[group.run].name)] if len(runs) > 1 else []
    head = element("div", *whose, *(element("span", text(chip)) for chip in chips), kind="chips")
    left = asked or element("div", element("p", text(cut(group.problem_id, 160)), kind="name"), kind="asked")
    return element("article", left, element("div", head, *responses), kind="card problem sampled")


def _response(row: Row, alike: int, step: int, room: int, *, opened: bool) -> Html:
    advantage = number(row.get("advantage"))
    sign = _sign(row)
    mark = {"positive": "right", "negative": "wrong"}.get(sign, "")
    told = "no advantage" if advantage is None else f"advantage {f'{advantage:+.2f}' if advantage else 0}"
    chips = [element("span", text(f"× {alike}"))] if alike > 1 else []
    chips.append(element("span", text(told), kind=mark))
    chips += [element("span", text(fact)) for fact in _facts(row, step)]
    summary = element("summary", element("div", *chips, kind="chips"))
    body = element("pre", text(cut(_said(row), room)))
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
    found = dict.fromkeys(_sign(row) for row, _ in group.shown)
    return " ".join(f"sign-{SIGNS.index(sign) + 1}" for sign in found)


def _sign(row: Row) -> str:
    advantage = number(row.get("advantage")) or 0.0
    return "positive" if advantage > 0 else "negative" if advantage < 0 else "zero"


def _said(row: Row) -> str:
    return str(row.get("response", ""))
