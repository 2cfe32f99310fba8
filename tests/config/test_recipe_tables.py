"""The tables of docs/from_other_trainers.md state the values of the recipes they describe."""

from __future__ import annotations

import re

import pytest
import yaml

from benchmarks.lib.launching import ROOT
from tests.support.configs import value_at
from vlm_uec.config import Config, load_config

PAGE = (ROOT / "docs" / "from_other_trainers.md").read_text(encoding="utf-8")
EASYR1 = ("7b_easyr1_grpo", "7b_easyr1_dapo", "7b_easyr1_gspo", "7b_easyr1_cispo", "7b_easyr1_sapo")


def _rows(heading: str, columns: int) -> list[list[str]]:
    """Cells of the rows with so many columns in the section, without the header."""
    section = PAGE.partition(f"### {heading}")[2].partition("\n### ")[0].partition("\n## ")[0]
    lines = [line.strip("|").split(" |") for line in section.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in cells] for cells in lines]
    return [row for row in rows if len(row) == columns and "theirs" not in row]


def _settings(cell: str) -> dict[str, object]:
    """The values of `section.key: value` in a cell, read as YAML."""
    found = re.findall(r"`([a-z]+\.[a-z_]+): ([^`]+)`", cell)
    return {key: yaml.safe_load(value) for key, value in found}


def _recipe(name: str) -> Config:
    return load_config(ROOT / "configs" / f"geometry3k_qwen2.5_vl_{name}.yaml")


def _check(config: Config, rows: list[list[str]], column: int, *, without: tuple[str, ...] = ()) -> int:
    stated = {key: value for row in rows for key, value in _settings(row[column]).items()}
    stated = {key: value for key, value in stated.items() if key.partition(".")[0] not in without}
    assert {key: value_at(config, key) for key in stated} == stated
    return len(stated)


@pytest.mark.parametrize("size", ["3b", "7b"])
def test_the_table_of_the_reference_code(size: str) -> None:
    rows = _rows("The reference code of UEC-RL, key by key", 3)
    assert _check(_recipe(f"{size}_uec_reference"), rows, 1) > 40
    uec = ("exploration", "retention", "stabilizer")
    assert _check(_recipe(f"{size}_grpo_reference"), rows, 1, without=uec) > 30


@pytest.mark.parametrize("name", [*EASYR1, "3b_easyr1_grpo"])
def test_the_tables_of_easyr1(name: str) -> None:
    heading = "EasyR1's published runs on Geometry3K, key by key"
    recipe = _recipe(name)
    assert _check(recipe, _rows(heading, 3), 1) > 25
    objective = name.rpartition("_")[2]
    own = [row for row in _rows(heading, 4) if row[0] == f"`{objective}`"]
    assert _check(recipe, own, 2) >= 5


@pytest.mark.parametrize("objective", ["grpo", "uec"])
def test_a_3b_reference_recipe_differs_from_7b_in_the_model_only(objective: str) -> None:
    small, large = (
        _recipe(f"{size}_{objective}_reference").model_dump(exclude={"model": {"path"}, "train": {"run_dir"}})
        for size in ("3b", "7b")
    )
    assert small == large
