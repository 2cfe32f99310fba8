"""The alarm band of a run as its page draws it: bounds worked out by hand from the run's own settings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.report.test_report import report
from tests.support.written_runs import write_run
from vlm_uec.report.alarms import band_of
from vlm_uec.report.run_charts import ALARM
from vlm_uec.report.runs import RunData, read_run
from vlm_uec.webpage.axes import colour_of

GUARD = ("guard.entropy_low=0.5", "guard.entropy_high=4", "guard.entropy_window=2")


def run_of(path: Path, entropies: Sequence[float | None], *settings: str) -> Path:
    """A run that tells nothing but these entropies, with these settings or those of the tiny recipe."""
    write_run(path, (), None, *settings)
    rows = [{"step": step, "entropy/exact": value} for step, value in enumerate(entropies, 1)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def entropy_chart(document: str) -> str:
    """Over steps, with its legend."""
    card = document.partition("<h3>Entropy in nats")[2].partition('<div class="card">')[0]
    return card.partition('class="axis axis-1"')[0]


def levels(chart: str) -> list[tuple[float, str]]:
    found = re.findall(r'class="level".*?y1="([\d.]+)".*?stroke="(.*?)"', chart)
    return [(float(y), colour) for y, colour in found]


# --- which band ---------------------------------------------------------------------------------------------


def test_the_band_is_the_run_s_own_shares_of_its_first_window_s_mean(tmp_path: Path) -> None:
    """The mean of 1 and 3, without the step that has none: 2, of which a half and four times."""
    run = read_run(run_of(tmp_path / "run", [1.0, None, 3.0, 50.0], *GUARD), "run")
    assert band_of(run) == (1.0, 8.0)


def test_without_a_guard_section_the_band_is_the_default_s(tmp_path: Path) -> None:
    """A fifth and three times the mean of ten steps."""
    rows = [{"entropy/exact": 5.0}] * 10
    low, high = band_of(RunData("run", tmp_path, rows, {"algorithm": "uec"}, (), ())) or (0, 0)
    assert (low, high) == pytest.approx((1.0, 15.0))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"guard": {"entropy_window": 3}},
        {"guard": {"entropy_low": "much"}},
        {"guard": {"entropy_window": 2, "of_another_version": 1}},
    ],
)
def test_there_is_no_band_of_an_unknown_guard_or_before_the_first_window(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    rows = [{"entropy/exact": 1.0}] * 2
    assert band_of(RunData("run", tmp_path, rows, settings, (), ())) is None
    known = RunData("run", tmp_path, rows, {"guard": {"entropy_window": 2}}, (), ())
    assert band_of(known) is not None


# --- how it is drawn ----------------------------------------------------------------------------------------


def test_a_run_s_band_is_drawn_and_what_lies_beyond_it_is_shaded(tmp_path: Path) -> None:
    """From 1 to 8, as the first two steps' mean is 2. Over values from 0.6 to 9 the logarithmic axis ends at
    0.5 and 10, which are log10(20) = 1.301 apart on 182 of height: 1 stands log10(2) = 0.301 above its foot
    at 194, at 151.9, and 8 stands log10(16) = 1.204 above it, at 25.6."""
    chart = entropy_chart(report(run_of(tmp_path / "run", [1.0, 3.0, 0.6, 9.0], *GUARD)))
    assert levels(chart) == [(151.9, ALARM), (25.6, ALARM)]
    zones = re.findall(r'class="zone".*?y="([\d.]+)".*?height="([\d.]+)"', chart)
    assert [(float(y), float(height)) for y, height in zones] == [(12, 13.6), (151.9, 42.1)]
    assert "alarm beyond</span>" in chart


def test_each_of_several_runs_has_its_band_in_its_colour(tmp_path: Path) -> None:
    """The first from 1 to 8; the second, of the same entropies, from 0.5 * 2 to 5 * 2, the axis' end. A third
    has had one step, fewer than its window."""
    wider = (*GUARD[:1], "guard.entropy_high=5", *GUARD[2:])
    runs = [
        run_of(tmp_path / "one", [1.0, 3.0, 0.6, 9.0], *GUARD),
        run_of(tmp_path / "two", [1.0, 3.0, 0.6, 9.0], *wider),
        run_of(tmp_path / "three", [1.0], *GUARD),
    ]
    chart = entropy_chart(report(*runs, out=tmp_path / "p.html"))
    assert levels(chart) == [
        (151.9, colour_of(0)),
        (25.6, colour_of(0)),
        (151.9, colour_of(1)),
        (12, colour_of(1)),
    ]
    assert 'class="zone"' not in chart and chart.count("alarm beyond</span>") == 1


def test_a_run_without_a_band_has_none_on_its_page(tmp_path: Path) -> None:
    document = report(run_of(tmp_path / "run", [1.0, 3.0, 2.0], *GUARD[:2], "guard.entropy_window=9"))
    assert "<polyline" in entropy_chart(document)
    assert not levels(document) and "alarm beyond" not in document


def test_the_band_is_on_the_chart_of_entropy_alone(tmp_path: Path) -> None:
    document = report(write_run(tmp_path / "run", range(1, 6), None, *GUARD))
    assert document.count("alarm beyond") == 1
    assert len(levels(document)) == 2 * 3  # two edges over each of three axes
