"""The report opens offline, escapes what models wrote, and plots what the metrics hold."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.errors import UserError
from vlm_uec.telemetry.charts import line_chart
from vlm_uec.telemetry.html import page, text
from vlm_uec.telemetry.report import write_report
from vlm_uec.telemetry.writers import RunWriter

ATTACK = "<script>alert(1)</script>\"'&<img src=http://x/y>"


class Tags(HTMLParser):
    """Collects tags and attributes, and fails where tags do not nest."""

    VOID = ("meta", "br")

    def __init__(self, document: str):
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(document)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def make_run(run_dir: Path) -> None:
    with RunWriter(run_dir, None) as writer:
        for step in range(1, 6):
            values = {"reward/accuracy": step / 10, "entropy/exact": 2.0 - step / 10, "time/rollout": 1.5}
            writer.metrics(step, {**values, "grad_norm": math.nan, "eval/pass@1": 0.25})
        row = {"problem_id": "geo-1", "source": "regular", "response": ATTACK, "advantage": 1.25}
        writer.samples(5, [row] * 50)


def test_report_shows_the_run(tmp_path: Path) -> None:
    make_run(tmp_path)
    path = write_report(tmp_path)
    document = path.read_text()
    assert path == tmp_path / "report.html"
    for part in ("Reward of regular rollouts", "Entropy", "Seconds by phase", "Evaluation", "geo-1", "1.25"):
        assert part in document
    assert "Gradient norm" not in document  # only NaN was recorded
    assert "50 responses, the first 40 shown" in document


def test_report_is_offline_and_escaped(tmp_path: Path) -> None:
    make_run(tmp_path)
    document = write_report(tmp_path).read_text()
    tags = Tags(document)
    assert {tag for tag, _ in tags.seen}.isdisjoint({"script", "link", "img", "iframe", "a"})
    assert all(name not in attributes for _, attributes in tags.seen for name in ("src", "href", "onclick"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in document and "url(" not in document


def test_a_run_that_just_began(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    assert "No step has finished yet." in write_report(tmp_path).read_text()


@pytest.mark.parametrize("content", [None, '{"step": 1}\nbroken\n{"step": 2}\n', "[1]\n"])
def test_what_cannot_be_read_is_one_line_and_exit_2(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(UserError):
        write_report(tmp_path)


def test_command_line(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    command = [sys.executable, "-m", "vlm_uec.telemetry.report"]
    root = Path(__file__).parents[1]
    good = subprocess.run(
        [*command, str(tmp_path / "run")], capture_output=True, text=True, check=False, cwd=root
    )
    assert good.returncode == 0 and str(tmp_path / "run" / "report.html") in good.stdout
    bad = subprocess.run(
        [*command, str(tmp_path / "nowhere")], capture_output=True, text=True, check=False, cwd=root
    )
    assert bad.returncode == 2 and len(bad.stderr.splitlines()) == 1 and "nowhere" in bad.stderr


def test_a_line_is_drawn_where_its_values_are() -> None:
    chart = line_chart("t", {"a": [(0, 0.0), (5, 5.0), (10, 10.0)]})
    points = re.findall(r"([\d.]+),([\d.]+)", chart[chart.index("points=") :])
    # The plot spans x 52 to 450 and y 194 (value 0) to 12 (value 10): the middle is the mean of both.
    assert [(float(x), float(y)) for x, y in points] == [(52, 194), (251, 103), (450, 12)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e12, 1e12) | st.just(math.nan)), max_size=20))
def test_any_points_make_a_well_formed_chart(points: list[tuple[float, float]]) -> None:
    chart = line_chart("<t>", {"a<b": points})
    Tags(chart)
    assert "nan" not in chart and "inf" not in chart


@pytest.mark.parametrize(
    "values", [(0.0, 5e-324), (1.0, 1.0 + 2e-16), (0.0, 0.0), (1e-310, 1e-310), (7.0, 7.0)]
)
def test_values_that_hardly_differ_are_drawn(values: tuple[float, float]) -> None:
    assert "polyline" in line_chart("t", {"a": list(enumerate(values))})


@settings(deadline=None)
@given(st.text())
def test_text_never_opens_a_tag(value: str) -> None:
    assert "<" not in text(value)
    Tags(page(value, [text(value)]))
