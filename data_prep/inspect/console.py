"""The findings as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.inspect.duplicates import Overlap, Pair
from data_prep.inspect.findings import MAX_LABEL, Findings, StatisticsTable
from data_prep.inspect.scan import SplitStats
from data_prep.inspect.shorten import shorten
from vlm_uec.escape import escape_controls
from vlm_uec.webpage.distribution import Histogram

MAX_IDS = 5  # ids, or pairs of ids, per line
_BAR = 20  # characters of a histogram's longest bar


def console_text(splits: Sequence[SplitStats], findings: Findings, overlaps: Sequence[Overlap]) -> str:
    """Sections separated by an empty line; control characters in ids and types are escaped."""
    sections = [_table(table) for table in (*findings.contents, findings.sizes) if table.rows]
    if findings.histograms:
        title, histogram = next(iter(findings.histograms.items()))
        sections.append(_histogram(title, histogram))
    sections.append(_duplicates(overlaps))
    broken = [
        _line(f"broken pictures, {split.name}", [_id(name) for name in split.broken])
        for split in splits
        if split.broken
    ]
    if broken:
        sections.append(broken)
    return "\n\n".join("\n".join(escape_controls(line) for line in section) for section in sections)


def _table(table: StatisticsTable) -> list[str]:
    rows = [(table.title, *table.headers[1:]), *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_align(row, widths) for row in rows]


def _align(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def _histogram(title: str, histogram: Histogram) -> list[str]:
    """One line per bin: a bar for its share and its count, for each split."""
    shares = histogram.shares()
    longest = max(max(values, default=0.0) for values in shares.values()) or 1.0
    rows = [(title, *(shorten(name, MAX_LABEL) for name in shares))]
    for bin_index, label in enumerate(histogram.labels):
        cells = (
            f"{'█' * round(_BAR * shares[name][bin_index] / longest)} {counts[bin_index]}"
            for name, counts in histogram.counts.items()
        )
        rows.append((label, *cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _duplicates(overlaps: Sequence[Overlap]) -> list[str]:
    lines = ["Duplicates within a split, and leaks between splits"]
    for overlap in overlaps:
        contradicting = sum(not pair.same_answer for pair in overlap.same_question)
        note = f", {contradicting} with another answer" if contradicting else ""
        lines.append(_pairs(f"{overlap.title}: same picture and same question", overlap.same_question, note))
        lines.append(_pairs(f"{overlap.title}: same picture alone", overlap.same_picture))
    return lines


def _pairs(label: str, pairs: Sequence[Pair], note: str = "") -> str:
    return _line(label, [f"{_id(pair.first)} = {_id(pair.second)}" for pair in pairs], note)


def _line(label: str, ids: Sequence[str], note: str = "") -> str:
    shown = ", ".join(ids[:MAX_IDS])
    more = ", …" if len(ids) > MAX_IDS else ""
    return f"  {label}: {len(ids)}{note}" + (f" ({shown}{more})" if ids else "")


def _id(name: str) -> str:
    return shorten(name, MAX_LABEL)
