"""Bars, intervals, figures, pictures, filters, and escaping."""

from __future__ import annotations

import base64
import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.report.test_report import ATTACK, Tags
from tests.support.tiny import encoded
from vlm_uec.webpage.charts import bar_chart, card, draw_lines, figure
from vlm_uec.webpage.filters import Filter, filter_bar, filter_style
from vlm_uec.webpage.html import page, picture, text


def test_bar_height_is_proportional_to_its_value() -> None:
    """The plot spans y = 194 (value 0) to 12 (value 10) and x = 52 to 450: two groups of 199, bars filling 80
    %."""
    chart = bar_chart("t", ["a", "b"], {"s": [10.0, 5.0]}, " %")
    bars = re.findall(r'x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', chart)
    assert [tuple(map(float, bar)) for bar in bars] == [
        (71.9, 12, 159.2, 182),
        (270.9, 103, 159.2, 91),
    ]
    assert re.findall("<title>(.*?)</title>", chart) == ["s, a: 10 %", "s, b: 5 %"]


def test_series_are_side_by_side_in_different_colours() -> None:
    chart = bar_chart("t", ["a"], {"s": [1.0], "none": [0.0], "r": [2.0]}, "")
    left = [float(x) for x in re.findall(r'class="bar" x="([\d.]+)"', chart)]
    third = (450 - 52) * 0.8 / 3
    assert left[1] - left[0] == pytest.approx(2 * third, abs=0.1)  # the bar of height 0 keeps its slot
    fills = re.findall('class="bar".*?fill="(#.*?)"', chart)
    assert len(set(fills)) == 2
    legend = re.findall('background:(#.*?)"></i>(.*?)</span>', chart)
    assert [name for _, name in legend] == ["s", "none", "r"]
    assert fills == [legend[0][0], legend[2][0]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=30), st.floats()), max_size=30))
def test_any_values_make_a_well_formed_chart(bars: list[tuple[str, float]]) -> None:
    finite = [(label, value if abs(value) < 1e300 else math.nan) for label, value in bars]
    chart = bar_chart("<t>", [label for label, _ in finite], {"a<b": [value for _, value in finite]}, "<u>")
    Tags(chart)
    assert not re.search(r'="-?(nan|inf)', chart)


def test_overlapping_labels_are_omitted() -> None:
    labels = [f"{number}-{number + 1}" for number in range(1000, 1100)]
    chart = bar_chart("t", labels, {"s": [1.0] * 100}, "")
    positions = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="212"', chart)]
    assert len(positions) > 2 and min(b - a for a, b in pairwise(positions)) > 9 * 6


def test_series_must_have_one_value_per_label() -> None:
    with pytest.raises(ValueError, match="each of 2 labels"):
        bar_chart("t", ["a", "b"], {"s": [1.0]}, "")


@pytest.mark.parametrize(("form", "kind"), [("PNG", "png"), ("JPEG", "jpeg")])
def test_picture_is_embedded_in_the_page(form: str, kind: str) -> None:
    data = encoded(Image.new("RGB", (3, 2), "red"), form)
    tags = Tags(page("t", [picture(data, ATTACK)]))
    attributes = next(attributes for tag, attributes in tags.elements if tag == "img")
    assert attributes["alt"] == ATTACK and set(attributes) == {"alt", "src"}
    head, _, content = str(attributes["src"]).partition(",")
    assert head == f"data:image/{kind};base64" and base64.b64decode(content) == data


def test_invalid_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="PNG or JPEG"):
        picture(b"<svg onload=alert(1)>", "")


def test_invisible_characters_are_shown_as_escape_sequences() -> None:
    assert text("a\x00b\u202ec\ud800d\uffff\x1b[2J") == r"a\u0000b\u202ec\ud800d\uffff\u001b[2J"
    assert text("line\n\ttab é 数 \U0001f600") == "line\n\ttab é 数 \U0001f600"


def test_error_bar_spans_its_interval() -> None:
    """The intervals make the axis 0 to 10, at y = 194 to 12; 2 is at 157.6 and 8 at 48.4."""
    drawing = draw_lines({"s": [(0, 5), (1, 5)]}, {"s": [(0, 0, 10), (1, 2, 8)]})
    found = re.findall(
        r'd="M[\d.]+ ([\d.]+)h6M[\d.]+ ([\d.]+)h6M([\d.]+) ([\d.]+)V([\d.]+)"', "".join(drawing.parts)
    )
    assert [tuple(map(float, ends)) for ends in found] == [
        (194, 12, 52, 194, 12),
        (157.6, 48.4, 450, 157.6, 48.4),
    ]


def test_error_bars_of_series_are_side_by_side() -> None:
    drawing = draw_lines(
        {"a": [(0, 1), (1, 1), (2, 1)], "b": [(0, 1), (1, 1), (2, 1)]}, {"a": [(1, 0, 2)], "b": [(1, 0, 2)]}
    )
    middle = [float(x) for x in re.findall(r"h6M([\d.]+) [\d.]+V", "".join(drawing.parts))]
    assert middle == [251 - 2.5, 251 + 2.5]


def test_x_labels_do_not_overlap() -> None:
    names = [(float(number), str(number)) for number in range(200)]
    drawing = draw_lines({"s": [(0, 1), (199, 2)]}, x_labels=names)
    shown = re.findall(r'<text x="([\d.]+)" y="212" text-anchor="middle">(\d+)<', "".join(drawing.parts))
    assert shown[0][1] == "199" and len(shown) > 5
    for (x, name), (before, other) in pairwise(shown):
        assert float(x) - float(before) > (len(name) + len(other)) / 2 * 6


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_figure_is_valid_xml_for_any_names(title: str, name: str) -> None:
    drawing = draw_lines({name: [(0, 1), (1, 2)]})
    document = figure(title, drawing, title, name).encode()
    root = ElementTree.fromstring(document)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and document.count(b"<polyline") == 1


def test_figure_legend_is_wrapped() -> None:
    """Three names of 30 characters, no two of which fit on one line; all stay within the figure."""
    names = [f"{number} {'x' * 28}" for number in range(3)]
    document = figure("t", draw_lines({name: [(0, 1), (1, 2)] for name in names}), "x", "y")
    root = ElementTree.fromstring(document)
    width, height = (float(side) for side in root.attrib["viewBox"].split()[2:])
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)">(\d x+)<', document)
    assert [name for _, _, name in found] == names
    assert len({y for _, y, _ in found}) == 3 and all(float(y) < height for _, y, _ in found)
    assert all(float(x) + 30 * 6 < width for x, _, _ in found)


@pytest.mark.parametrize(("from_zero", "lowest"), [(True, "0"), (False, "1")])
def test_from_zero_includes_zero_in_the_axis(from_zero: bool, lowest: str) -> None:
    parts = draw_lines({"s": [(0, 1.0), (9, 2.0)]}, from_zero=from_zero).parts
    labels = re.findall(r'text-anchor="end">([\d.]+)<', "".join(parts))
    assert labels[0] == lowest


def test_card_without_data_has_a_message() -> None:
    assert "nothing recorded" in card("t", draw_lines({"s": [(math.nan, 1.0)]}))


def test_every_filter_option_except_the_first_hides_elements() -> None:
    one = Filter("f", "by <kind>", [("all", 3), ("<b>", 2), ("c", 1)])
    tags = Tags(page("t", [filter_bar([one])], filter_style([one])))
    buttons = [named for tag, named in tags.elements if tag == "input"]
    assert [(named["id"], named["name"], "checked" in named) for named in buttons] == [
        ("f-0", "f", True),
        ("f-1", "f", False),
        ("f-2", "f", False),
    ]
    hiding = re.findall(r"#(f-\d):checked\) \.filtered:not\(\.(f-\d)\)", filter_style([one]))
    assert hiding == [("f-1", "f-1"), ("f-2", "f-2")]
