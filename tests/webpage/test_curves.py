"""Positions of curves, means, bands, tooltips, areas and dots, compared with values computed by hand."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.test_report import Tags
from vlm_uec.telemetry.alarms import EntropyBand, entropy_limits
from vlm_uec.webpage.areas import MAX_SEGMENTS, area_chart
from vlm_uec.webpage.axes import log_ticks, short_number
from vlm_uec.webpage.charts import line_chart
from vlm_uec.webpage.curves import (
    MAX_POINTS,
    MAX_TOOLTIPS,
    Band,
    Curve,
    Mark,
    curve_chart,
    downsample,
    running_mean,
)
from vlm_uec.webpage.scatter import MAX_DOTS, correlation_of, scatter_chart

VALUES = st.floats(-1e12, 1e12)


def positions(part: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.e+]+),(-?[\d.e+]+)", part)]


def lines_of(parts: list[str]) -> list[list[tuple[float, float]]]:
    return [positions(part) for part in parts if part.startswith("<polyline")]


def test_line_chart_positions() -> None:
    chart = line_chart("t", {"a": [(0, 0.0), (5, 5.0), (10, 10.0)]})
    points = re.findall(r"([\d.]+),([\d.]+)", chart[chart.index("points=") :])
    # The plot spans x 52 to 450 and y 194 (value 0) to 12 (value 10): the middle is the mean of both.
    assert [(float(x), float(y)) for x, y in points] == [(52, 194), (251, 103), (450, 12)]


def test_short_curve_is_drawn_without_a_mean() -> None:
    (line,) = lines_of(curve_chart([Curve("a", 0, [(0, 0.0), (5, 5.0), (10, 10.0)])], "step"))
    assert line == [(52, 194), (251, 103), (450, 12)]


def test_running_mean_includes_neighbours_on_both_sides() -> None:
    assert running_mean([1.0, 2.0, 6.0, 3.0], 1) == [1.5, 3.0, pytest.approx(11 / 3), 4.5]
    assert running_mean([1.0, 2.0], 0) == [1.0, 2.0]


def test_running_mean_of_a_long_curve_is_drawn_above_its_measured_values() -> None:
    """For 100 points the mean includes 100 / 50 on either side; the mean of 0, 10, 0, 10, ... is near 5."""
    points = [(float(x), 10.0 * (x % 2)) for x in range(100)]
    raw, mean = curve_chart([Curve("a", 0, points)], "step")[-MAX_TOOLTIPS - 2 : -MAX_TOOLTIPS]
    assert 'class="raw"' in raw and {y for _, y in positions(raw)} == {194, 12}
    # Two or three of five values are 10: means of 4 and 6, which are at y = 121.2 and 84.8.
    assert {y for _, y in positions(mean)[2:-2]} == {121.2, 84.8}


@given(st.lists(VALUES, min_size=1, max_size=1500))
def test_downsample_keeps_order_and_extremes(values: list[float]) -> None:
    points = list(enumerate(values))
    kept = downsample(points)
    assert len(kept) <= MAX_POINTS and set(kept) <= set(points)
    assert [x for x, _ in kept] == sorted({x for x, _ in kept})
    assert {min(values), max(values)} <= {y for _, y in kept}


@given(st.lists(st.tuples(st.integers(0, 10**6), VALUES), min_size=1, max_size=80, unique_by=lambda p: p[0]))
def test_any_points_make_a_well_formed_chart(points: list[tuple[int, float]]) -> None:
    curves = [Curve("a<b", 0, sorted(points)), Curve("c", 1, sorted(points)[:3], dots=True)]
    parts = curve_chart(curves, "step", [Band(-1.0, 2.0, "#c00", shaded=True)], [Mark(points[0][0], "<m>")])
    Tags("".join(parts))
    assert not re.search(r'"-?(nan|inf)', "".join(parts))


def test_band_limits_are_in_range_and_the_area_outside_is_shaded() -> None:
    """The curve is at 5; the band from 2 to 8 extends the axis to 2 and 8, at y = 194 and 12."""
    parts = curve_chart([Curve("a", 0, [(0, 5.0), (9, 5.0)])], "step", [Band(2.0, 8.0, "#c00", shaded=True)])
    edges = [float(y) for part in parts for y in re.findall(r'class="level".*?y1="([\d.]+)"', part)]
    assert edges == [194, 12]
    parts = curve_chart([Curve("a", 0, [(0, 0.0), (9, 10.0)])], "step", [Band(2.5, 7.5, "#c00", shaded=True)])
    zones = re.findall(r'class="zone".*?y="([\d.]+)".*?height="([\d.]+)"', "".join(parts))
    assert [(float(y), float(height)) for y, height in zones] == [(12, 45.5), (148.5, 45.5)]


def test_logarithmic_axis_maps_equal_ratios_to_equal_distances() -> None:
    """The axis is 0.1 to 10, at y = 194 to 12, so 1 is in the middle."""
    points = [(0, 0.1), (5, 1.0), (9, 10.0)]
    parts = curve_chart([Curve("a", 0, points)], "step", logarithmic=True)
    assert [y for _, y in lines_of(parts)[0]] == [194, 103, 12]
    labels = re.findall(r'text-anchor="end">(.*?)<', "".join(parts))
    assert labels == ["0.1", "0.2", "0.5", "1", "2", "5", "10"]


def test_zero_value_makes_the_axis_linear_and_a_zero_limit_is_not_drawn() -> None:
    linear = curve_chart([Curve("a", 0, [(0, 0.0), (5, 5.0), (9, 10.0)])], "step", logarithmic=True)
    assert [y for _, y in lines_of(linear)[0]] == [194, 103, 12]
    band = Band(0.0, 10.0, "#c00", shaded=True)
    parts = curve_chart([Curve("a", 0, [(0, 1.0), (9, 5.0)])], "step", [band], logarithmic=True)
    assert [float(y) for y in re.findall(r'class="level".*?y1="([\d.]+)"', "".join(parts))] == [12]
    assert len(re.findall('class="zone"', "".join(parts))) == 1


@given(st.floats(1e-90, 1e90), st.floats(1.001, 1e9))
def test_logarithmic_ticks_are_few_and_span_their_range(low: float, ratio: float) -> None:
    ticks = log_ticks(low, low * ratio)
    assert ticks[0] <= math.log10(low) and ticks[-1] >= math.log10(low * ratio)
    assert 2 <= len(ticks) <= 11 and list(ticks) == sorted(set(ticks))


def test_tooltips_contain_the_values_of_the_curves_in_range() -> None:
    short_one = Curve("s", 1, [(0, 0.25), (1, 0.5)])
    parts = curve_chart([Curve("l", 0, [(float(x), 2.0 * x) for x in range(7)]), short_one], "step")
    tooltips = re.findall("<title>(.*?)</title>", "".join(parts), re.DOTALL)
    assert (
        tooltips[:2] == ["step 0\nl: 0\ns: 0.25", "step 1\nl: 2\ns: 0.5"] and tooltips[-1] == "step 6\nl: 12"
    )
    widths = [float(width) for width in re.findall(r'class="tooltip".*? width="([\d.]+)"', "".join(parts))]
    assert len(widths) == 7 and sum(widths) == pytest.approx(450 - 52, abs=0.5)


def test_marks_are_at_their_x_positions() -> None:
    parts = curve_chart(
        [Curve("a", 0, [(0, 1.0), (10, 2.0)])], "step", marks=[Mark(5, "half"), Mark(11, "beyond")]
    )
    assert re.findall(r'class="mark ".*?d="M([\d.]+) .*?<title>(.*?)<', "".join(parts)) == [("251.0", "half")]


def test_step_axis_has_whole_number_labels() -> None:
    parts = "".join(curve_chart([Curve("a", 0, [(1, 1.0), (2, 2.0), (3, 3.0)])], "step"))
    assert re.findall(r'y="212" text-anchor="middle">(.*?)<', parts) == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0, "0"),
        (1234, "1234"),
        (12_000, "12k"),
        (1_250_000, "1.25M"),
        (-3e9, "-3G"),
        (1e-4, "1e-4"),
        (-1.05e-4, "-1.05e-4"),
        (0.05, "0.05"),
        (2.5e-10, "2.5e-10"),
        (1e15, "1e+15"),
    ],
)
def test_short_number(value: float, label: str) -> None:
    assert short_number(value) == label


def test_areas_are_stacked() -> None:
    """The axis ends at 1 + 3 = 4; 0, 1 and 4 are at y = 194, 148.5 and 12."""
    drawing = area_chart([1, 2], {"a": [1.0, 1.0], "b": [3.0, 3.0]})
    shapes = [positions(part) for part in drawing.parts if part.startswith("<polygon")]
    assert shapes == [
        [(52, 148.5), (450, 148.5), (450, 194), (52, 194)],
        [(52, 12), (450, 12), (450, 148.5), (52, 148.5)],
    ]
    assert drawing.names == ("a", "b") and area_chart([1], {"a": [0.0]}).parts == ()


def test_areas_of_many_steps_are_means_of_equal_segments() -> None:
    count = 4 * MAX_SEGMENTS
    drawing = area_chart(range(count), {"a": [8.0 * (step % 4 == 0) for step in range(count)]})
    (shape,) = [positions(part) for part in drawing.parts if part.startswith("<polygon")]
    assert len(shape) == 2 * MAX_SEGMENTS and {y for _, y in shape} == {12, 194}  # all means are 2


def test_scatter_chart_positions_and_zero_lines() -> None:
    parts = scatter_chart([(1, [(-1.0, -1.0), (1.0, 1.0)])])
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', "".join(parts))
    assert [(float(x), float(y)) for x, y in dots] == [(52, 194), (450, 12)]
    zero = re.findall(r'class="zero" x1="([\d.]+)" x2="([\d.]+)" y1="([\d.]+)" y2="([\d.]+)"', "".join(parts))
    assert [tuple(map(float, ends)) for ends in zero] == [(251, 251, 12, 194), (52, 450, 103, 103)]


def test_every_second_of_many_dots_is_drawn() -> None:
    """Of 797 dots at most 400 are drawn: 399, at x = 0, 2, 4, ..., half an SVG unit per x. Their y values
    repeat 0, 1, 2 (194, 103, 12), so those of every second dot repeat 0, 2, 1."""
    points = [(float(x), float(x % 3)) for x in range(797)]
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', "".join(scatter_chart([(0, points)])))
    expected = [(52 + x / 2, [194, 103, 12][x % 3]) for x in range(0, 797, 2)]
    assert [(float(x), float(y)) for x, y in dots] == expected
    assert len(dots) <= MAX_DOTS < len(points)
    few = [(float(x), float(x % 3)) for x in range(MAX_DOTS)]
    assert "".join(scatter_chart([(0, few)])).count("<circle") == MAX_DOTS


def test_correlation_is_pearson_s_and_none_for_constant_values() -> None:
    assert correlation_of([(0, 1), (1, 3), (2, 5)]) == pytest.approx(1)
    assert correlation_of([(0, 0), (1, 1), (2, 0)]) == pytest.approx(0, abs=1e-12)
    assert correlation_of([(0, 1), (1, 3)]) is None and correlation_of([(0, 1), (1, 1), (2, 1)]) is None


def test_entropy_limits_are_fractions_of_the_first_window_s_mean() -> None:
    band = EntropyBand(0.5, 2.0, 3)
    assert entropy_limits(band, [1.0, 2.0, 3.0, 100.0]) == (1.0, 4.0)
    assert entropy_limits(band, [1.0, 2.0]) is None


@pytest.mark.parametrize(
    "values", [(0.0, 5e-324), (1.0, 1.0 + 2e-16), (0.0, 0.0), (1e-310, 1e-310), (7.0, 7.0)]
)
def test_nearly_equal_values_are_drawn(values: tuple[float, float]) -> None:
    assert "polyline" in line_chart("t", {"a": list(enumerate(values))})
    assert len(lines_of(curve_chart([Curve("a", 0, list(enumerate(values)))], "step"))) == 1


@given(st.lists(st.tuples(st.integers(0, 10**6), VALUES | st.just(math.nan)), max_size=20))
def test_any_points_make_a_well_formed_line_chart(points: list[tuple[float, float]]) -> None:
    chart = line_chart("<t>", {"a<b": points})
    Tags(chart)
    assert "nan" not in chart and "inf" not in chart
