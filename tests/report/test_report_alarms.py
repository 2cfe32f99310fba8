"""The alarm band of a run as drawn on its page; bounds computed by hand from the run's settings."""

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
    """A run whose only metric is entropy, with the tiny recipe's settings and these overrides."""
    write_run(path, (), None, *settings)
    rows = [{"step": step, "entropy/exact": value} for step, value in enumerate(entropies, 1)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def entropy_chart(document: str) -> str:
    """The entropy chart over steps, with its legend."""
    card = document.partition("<h3>Entropy in nats")[2].partition('<div class="card">')[0]
    return card.partition('class="axis axis-1"')[0]


def levels(chart: str) -> list[tuple[float, str]]:
    found = re.findall(r'class="level".*?y1="([\d.]+)".*?stroke="(.*?)"', chart)
    return [(float(y), colour) for y, colour in found]


# --- bounds of the band ------------------------------------------------------------------------------------


def test_band_limits_are_fractions_of_the_first_window_s_mean(tmp_path: Path) -> None:
    """The mean of 1 and 3 (the step without a value is skipped) is 2; the limits are half and four times
    this."""
    run = read_run(run_of(tmp_path / "run", [1.0, None, 3.0, 50.0], *GUARD), "run")
    assert band_of(run) == (1.0, 8.0)


def test_default_band_without_a_guard_section(tmp_path: Path) -> None:
    """One fifth and three times the mean of ten steps."""
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
def test_no_band_with_an_invalid_guard_or_before_the_first_window(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    rows = [{"entropy/exact": 1.0}] * 2
    assert band_of(RunData("run", tmp_path, rows, settings, (), ())) is None
    known = RunData("run", tmp_path, rows, {"guard": {"entropy_window": 2}}, (), ())
    assert band_of(known) is not None


# --- drawing -----------------------------------------------------------------------------------------------


def test_band_is_drawn_and_the_area_outside_is_shaded(tmp_path: Path) -> None:
    """The band is 1 to 8, because the mean of the first two steps is 2. Over values from 0.6 to 9 the
    logarithmic axis ends at 0.5 and 10, which are log10(20) = 1.301 apart over a height of 182. The foot is
    at y = 194: 1 is log10(2) = 0.301 above it, at 151.9, and 8 is log10(16) = 1.204 above it, at 25.6."""
    chart = entropy_chart(report(run_of(tmp_path / "run", [1.0, 3.0, 0.6, 9.0], *GUARD)))
    assert levels(chart) == [(151.9, ALARM), (25.6, ALARM)]
    zones = re.findall(r'class="zone".*?y="([\d.]+)".*?height="([\d.]+)"', chart)
    assert [(float(y), float(height)) for y, height in zones] == [(12, 13.6), (151.9, 42.1)]
    assert "alarm limits</span>" in chart


def test_bands_of_several_runs_have_the_runs_colours(tmp_path: Path) -> None:
    """Band of the first run: 1 to 8; of the second, with the same entropies: 0.5 * 2 to 5 * 2, the end of the
    axis. The third run has one step, fewer than its window, and no band."""
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
    assert 'class="zone"' not in chart and chart.count("alarm limits</span>") == 1


def test_page_of_a_run_without_a_band(tmp_path: Path) -> None:
    document = report(run_of(tmp_path / "run", [1.0, 3.0, 2.0], *GUARD[:2], "guard.entropy_window=9"))
    assert "<polyline" in entropy_chart(document)
    assert not levels(document) and "alarm limits" not in document


def test_only_the_entropy_chart_has_a_band(tmp_path: Path) -> None:
    document = report(write_run(tmp_path / "run", range(1, 6), None, *GUARD))
    assert document.count("alarm limits") == 1
    assert len(levels(document)) == 2 * 3  # two limits on each of three axes


# --- a run that taught nothing -----------------------------------------------------------------------------


@pytest.mark.parametrize(("accuracy", "count"), [(0.0, 1), (0.5, 0)])
def test_a_run_without_a_right_response_says_so_at_the_top(
    tmp_path: Path, accuracy: float, count: int
) -> None:
    run = run_of(tmp_path / "run", [1.0])
    row = {"step": 1, "reward/accuracy": accuracy, "update/optimizer_steps": 1}
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    header = report(run).partition("</header>")[0]
    assert header.count("run: no response was right in 1 step") == count
