"""A small `make demo` ends with a complete report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.lib.launching import free_port
from tests.support.launch import execute, metrics

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

PROBLEMS, STEPS = 16, 3  # a step takes 16; the third is the first that updates


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines on the console."""
    launcher = f"deepspeed --log_level error --num_accelerators 2 --master_port {free_port()}"
    sizes = (str(tmp_path_factory.mktemp("demo")), str(PROBLEMS), str(STEPS))
    done = execute(["bash", "examples/demo.sh", launcher, *sizes])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def report(printed: list[str]) -> Path:
    """The path that the last line names."""
    named = re.fullmatch(r"== Done\. Open (\S+/report\.html); responses .*: (\S+/index\.html)", printed[-1])
    assert named and Path(named[2]).is_file(), printed[-1]
    return Path(named[1])


def test_the_report_has_a_point_for_each_step_in_its_curves(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    rows = metrics(report.parent)
    assert len(rows) == STEPS
    for row in rows:
        for name in ("reward/accuracy", "entropy/exact"):
            assert re.search(rf"<title>step {row['step']}\n{name}: {row[name]:.4g}\n", page), (name, row)


def test_the_report_has_pass_at_k_before_and_after(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    for name in ("demo-before", "demo-after"):
        summary = json.loads((report.parents[1] / name / "summary.json").read_text(encoding="utf-8"))
        expected = [f"{100 * summary['scores']['verify'][f'pass@{k}']['value']:.2f}  (" for k in (1, 4, 8)]
        row = re.search(rf"<tr><td>{name}</td>(.*?)</tr>", page)
        assert row and [value in row[1] for value in expected] == [True] * 3, name
