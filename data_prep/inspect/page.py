"""The findings as one HTML page that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_prep.inspect.duplicates import Overlap, Pair
from data_prep.inspect.findings import Findings, StatisticsTable
from data_prep.inspect.scan import SplitStats
from data_prep.inspect.shorten import shorten
from vlm_uec.webpage.charts import bar_chart
from vlm_uec.webpage.html import Html, element, page, table, text, tile

MAX_LISTED = 100  # pairs, or ids, per list
MAX_ID = 120  # characters


def page_text(
    title: str,
    settings: str,
    splits: Sequence[SplitStats],
    findings: Findings,
    overlaps: Sequence[Overlap],
    galleries: Mapping[str, Sequence[Html]],
) -> str:
    """`galleries`: cards by split name."""
    tables = [_table_card(found) for found in findings.contents if found.rows]
    charts = [
        bar_chart(f"{name}, % of a split", found.labels, found.shares(), " %")
        for name, found in findings.histograms.items()
    ]
    body = [
        _header(title, settings, splits, overlaps),
        *_section("Contents", element("div", *tables, kind="grid")),
        *_section("Pictures and tokens", _table_card(findings.sizes), element("div", *charts, kind="grid")),
        *_section(
            "Duplicates within a split, and leaks between splits", *_duplicates(overlaps), *_broken(splits)
        ),
    ]
    for split in splits:
        if cards := galleries[split.name]:
            heading = f"{split.name}: {len(cards)} of {len(split.problems)} problems"
            body += _section(heading, element("div", *cards, kind="gallery"))
    return page(title, body)


def _section(title: str, *parts: Html) -> list[Html]:
    return [element("h2", text(shorten(title, MAX_ID))), element("div", *parts, kind="stack")]


def _header(title: str, settings: str, splits: Sequence[SplitStats], overlaps: Sequence[Overlap]) -> Html:
    tiles = [tile(len(split.problems), shorten(f"{split.name} problems", 80)) for split in splits]
    for overlap in overlaps:
        if not overlap.within:
            name = f"{overlap.later} problems also in {overlap.earlier}"
            tiles.append(tile(len(overlap.same_question), shorten(name, 80)))
    parts = element("h1", text(title)), element("p", text(settings)), element("div", *tiles, kind="tiles")
    return element("header", *parts)


def _table_card(found: StatisticsTable) -> Html:
    rows = [[text(cell) for cell in row] for row in found.rows]
    return element("div", element("h3", text(found.title)), table(found.headers, rows), kind="card numbers")


def _duplicates(overlaps: Sequence[Overlap]) -> list[Html]:
    rows = [
        [text(overlap.title), text(len(overlap.same_question)), text(len(overlap.same_picture))]
        for overlap in overlaps
    ]
    counted = element(
        "div", table(("", "same picture and same question", "same picture alone"), rows), kind="card numbers"
    )
    lists = []
    for overlap in overlaps:
        lists += _pairs(f"{overlap.title}: same picture and same question", overlap.same_question)
        lists += _pairs(f"{overlap.title}: same picture alone", overlap.same_picture)
    return [counted, *lists]


def _pairs(label: str, pairs: Sequence[Pair]) -> list[Html]:
    rows = [
        [text(shorten(pair.first, MAX_ID)), text(shorten(pair.second, MAX_ID)), _answers(pair)]
        for pair in pairs[:MAX_LISTED]
    ]
    return _list(label, len(pairs), table(("first", "repeated by", "answers"), rows))


def _answers(pair: Pair) -> Html:
    return text("the same" if pair.same_answer else "differ")


def _broken(splits: Sequence[SplitStats]) -> list[Html]:
    lists = []
    for split in splits:
        rows = [[text(shorten(name, MAX_ID))] for name in split.broken[:MAX_LISTED]]
        lists += _list(f"{split.name}: broken pictures", len(split.broken), table(("id",), rows))
    return lists


def _list(label: str, count: int, rows: Html) -> list[Html]:
    if not count:
        return []
    shown = f", the first {MAX_LISTED} shown" if count > MAX_LISTED else ""
    summary = element("summary", text(f"{label}: {count}{shown}"))
    return [element("details", summary, element("div", rows, kind="card"))]
