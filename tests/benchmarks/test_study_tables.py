"""The entropy study's tables: checked by hand, and those in docs/uec.md against the committed JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.lib.launching import ROOT
from benchmarks.lib.study.tables import (
    arm_table,
    correlation_table,
    difference_table,
    kind_table,
    probe_table,
    tables,
)

STUDIES = sorted((ROOT / "docs" / "study").glob("*.json"))


def _interval(mean: float, margin: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - margin, "high": mean + margin}


STUDY: dict[str, Any] = {
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


def test_the_arm_table_has_means_over_seeds_with_intervals() -> None:
    table = arm_table(STUDY)
    assert _row(table, 0) == ["base model", "0.250", "0.500", "", "", "", ""]
    assert _row(table, 1)[0::3] == ["GRPO", "0.500 [0.500, 0.500]", "10"]
    assert _row(table, 2) == [
        "UEC", "0.400 [0.400, 0.400]", "0.500 [0.500, 0.500]", "1.000 [1.000, 1.000]", "4", "25%", "10",
    ]  # fmt: skip
    assert _row(table, 1)[4] == ""  # empty, because the arm does not explore


def test_differences_are_signed_and_final_ones_have_the_ratio_of_gains() -> None:
    table = difference_table(STUDY)
    assert _row(table, 0) == ["UEC - GRPO", "+0.100 [+0.080, +0.120]", "-0.010 [-0.510, +0.490]", "3.00"]
    assert _row(table, 1)[0::3] == ["UEC - GRPO at 9 steps", ""]


def test_the_correlation_probe_and_kind_tables() -> None:
    assert _row(correlation_table(STUDY), 0) == ["GRPO", "", ""]
    assert _row(correlation_table(STUDY), 1) == ["UEC", "+0.500 [+0.400, +0.600]", ""]
    assert _row(probe_table(STUDY), 0) == ["replay", "all states", "1 of 9", "0 of 3", "-2.0 [-3.0, -1.0]"]
    assert _row(kind_table(STUDY), 0) == ["circle area", "0.00 / 0.25", "0.50 / 1.00"]
    assert len(tables(STUDY)) == 5 and len(tables({**STUDY, "pushes": {}})) == 4


def test_a_study_is_committed() -> None:
    assert STUDIES


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_docs_have_the_tables_of_the_committed_studies(path: Any) -> None:
    page = (ROOT / "docs" / "uec.md").read_text(encoding="utf-8")
    study = json.loads(path.read_text(encoding="utf-8"))
    expected = tables(study) if path.stem == "study" else [arm_table(study), difference_table(study)]
    found = [table in page for table in expected]
    assert all(found), f"docs/uec.md is out of date: python benchmarks/study/tables.py {path}"
