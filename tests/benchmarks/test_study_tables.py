"""The entropy study's tables: their numbers by hand, and those on the page against the committed JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.lib.launching import ROOT
from benchmarks.lib.study.tables import arms, correlations, differences, kinds, pushes, tables

STUDIES = sorted((ROOT / "docs" / "study").glob("*.json"))


def _interval(mean: float, off: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - off, "high": mean + off}


RESULT: dict[str, Any] = {
    "arms": {"GRPO": [], "UEC": []},
    "base": {"pass_1": 0.25, "pass_k": 0.5},
    "runs": [
        {
            "arm": arm,
            "pass_1": pass_1,
            "pass_k": 0.5,
            "entropy_first": 0.5,
            "entropy_last": last,
            "rescued": rescued,
            "retained": 0.25,
            "optimizer_steps": 10,
        }
        for arm, pass_1, last, rescued in (
            ("GRPO", 0.3, 0.25, 0),
            ("GRPO", 0.3, 0.25, 0),
            ("UEC", 0.4, 0.5, 3),
            ("UEC", 0.4, 0.5, 5),
        )
    ],
    "comparisons": {
        "UEC - GRPO": {"pass_1": _interval(0.1, 0.02), "pass_k": _interval(-0.01, 0.5)},
        "gain of UEC / gain of GRPO": 3.0,
        "UEC - GRPO at 9 steps": {"pass_1": _interval(0.0, 0.1), "pass_k": _interval(0.0, 0.1)},
        "UEC: predicted and measured entropy change, updates": {"correlation": _interval(0.5, 0.1)},
    },
    "pushes": {
        "replay": {
            "all states": {
                "probes": 9,
                "probes_up": 1,
                "seeds": 3,
                "seeds_up": 0,
                "change": _interval(-2e-4, 1e-4),
            }
        }
    },
    "finals": {
        "base": {"kinds": {"circle_area": {"pass_1": 0.0, "pass_k": 0.25}}},
        "UEC": {"kinds": {"circle_area": {"pass_1": 0.5, "pass_k": 1.0}}},
    },
}


def _row(table: str, number: int) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[2 + number].strip("|").split("|")]


def test_an_arm_has_means_over_seeds_with_intervals() -> None:
    told = arms(RESULT)
    assert _row(told, 0) == ["base model", "0.250", "0.500", "", "", "", ""]
    assert _row(told, 1)[0::3] == ["GRPO", "0.500 [0.500, 0.500]", "10"]
    assert _row(told, 2) == [
        "UEC", "0.400 [0.400, 0.400]", "0.500 [0.500, 0.500]", "1.000 [1.000, 1.000]", "4", "25%", "10",
    ]  # fmt: skip
    assert _row(told, 1)[4] == ""  # it does not explore, which is not to have rescued none


def test_differences_are_signed_and_have_the_ratio_of_gains_at_the_end() -> None:
    told = differences(RESULT)
    assert _row(told, 0) == ["UEC - GRPO", "+0.100 [+0.080, +0.120]", "-0.010 [-0.510, +0.490]", "3.00"]
    assert _row(told, 1)[0::3] == ["UEC - GRPO at 9 steps", ""]


def test_correlations_pushes_and_kinds() -> None:
    assert _row(correlations(RESULT), 0) == ["GRPO", "", ""]
    assert _row(correlations(RESULT), 1) == ["UEC", "+0.500 [+0.400, +0.600]", ""]
    assert _row(pushes(RESULT), 0) == ["replay", "all states", "1 of 9", "0 of 3", "-2.0 [-3.0, -1.0]"]
    assert _row(kinds(RESULT), 0) == ["circle area", "0.00 / 0.25", "0.50 / 1.00"]
    assert len(tables(RESULT)) == 5 and len(tables({**RESULT, "pushes": {}})) == 4


def test_there_is_a_committed_study() -> None:
    assert STUDIES


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_page_has_the_tables_of_the_committed_studies(path: Any) -> None:
    page = (ROOT / "docs" / "uec.md").read_text(encoding="utf-8")
    result = json.loads(path.read_text(encoding="utf-8"))
    made = tables(result) if path.stem == "study" else [arms(result), differences(result)]
    there = [table in page for table in made]
    assert all(there), f"docs/uec.md is out of date: python benchmarks/study/tables.py {path}"
