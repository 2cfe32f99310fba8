"""The entropy study's figures: their curves, and the lines in the SVG files."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.lib.study.arms import StudyRun
from benchmarks.lib.study.figures import draw_figures, mean_curve

STEPS = 30


def test_a_curve_is_the_mean_over_runs_at_equal_positions() -> None:
    """From the later start, 10, to the earlier end, 110: 2 and 4 at 10, 12 and 24 at 110; the last interval
    is 12.706 x 6 x sqrt(2) / sqrt(2) to each side."""
    curves = [[(0.0, 1.0), (110.0, 12.0)], [(10.0, 4.0), (110.0, 24.0), (500.0, 24.0)]]
    means, intervals = mean_curve(curves, unit=10)
    assert (means[0], means[-1]) == ((1, pytest.approx((2 + 4) / 2)), (11, pytest.approx(18)))
    x, low, high = intervals[-1]
    assert (x, low, high) == (11, pytest.approx(18 - 12.706 * 6), pytest.approx(18 + 12.706 * 6))
    assert mean_curve([[], []], unit=1) == ([], [])


def _run(folder: Path, arm: str, seed: int) -> StudyRun:
    rows = [
        {
            "step": step,
            "response_tokens/total": 100 * step,
            "entropy/exact": 1 / (step + seed),
            "uec/rescued_prompts": seed,
            "uec/explored_responses": 16 if arm == "UEC" else 0,
            "uec/difficult_prompts": 3,
            "uec/replay_age": 2.0 if step % 5 == 0 else None,
            "covariance/regular": 0.1,
            "eval/pass@1": 0.5 if step % 10 == 0 else None,
            "eval/pass@16": 0.7 if step % 10 == 0 else None,
        }
        for step in range(1, STEPS + 1)
    ]
    run = StudyRun(arm, seed, folder / f"{arm}_{seed}")
    run.folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (run.folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return run


def _points(svg: str) -> list[list[tuple[float, float]]]:
    root = ElementTree.fromstring(svg)
    lines = [node.get("points", "") for node in root.iter() if node.tag.endswith("polyline")]
    return [[(float(x), float(y)) for x, y in (p.split(",") for p in line.split())] for line in lines]


def test_every_figure_has_a_line_for_each_arm(tmp_path: Path) -> None:
    arms = ("GRPO", "UEC", "UEC, no exploration")
    runs = [_run(tmp_path, arm, seed) for arm in arms for seed in (1, 2)]
    paths = {
        path.stem: path for path in draw_figures(runs, {"pass_1": 0.3, "pass_k": 0.6}, tmp_path / "figures")
    }
    svgs = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    assert len(_points(svgs["pass_1"])) == 2
    assert len(_points(svgs["entropy_ablations"])) == 3
    assert "UEC, no exploration" in svgs["entropy_ablations"]
    # The other two arms do not explore.
    assert len(_points(svgs["rescued"])) == 1
    # From the base model's 0.3 at 0 tokens up to 0.5.
    (line, _) = _points(svgs["pass_1"])
    assert line[0][1] > line[-1][1] and math.isclose(line[0][0], min(x for x, _ in line))
