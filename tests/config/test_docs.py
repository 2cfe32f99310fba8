from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from vlm_uec.algorithm.objectives import algorithm_names
from vlm_uec.config import Config, load_config
from vlm_uec.config.docs import config_page
from vlm_uec.config.fields import accepted_values, as_yaml, config_keys
from vlm_uec.config.rules import RULES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "config.md"
ROW = re.compile(
    r"^\| `(?P<name>[\w.]+)` \| (?P<accepts>.+?) \| (?P<default>.+?) \| (?P<description>.+) \|$", re.M
)


def _rows() -> dict[str, re.Match[str]]:
    reference = PAGE.read_text(encoding="utf-8").partition("## Top level")[2]
    return {row["name"]: row for row in ROW.finditer(reference)}


def test_the_page_is_up_to_date() -> None:
    is_current = PAGE.read_text(encoding="utf-8") == config_page()
    assert is_current, "docs/config.md is out of date: python -m vlm_uec.config.docs > docs/config.md"


def test_every_key_has_exactly_one_row() -> None:
    reference = PAGE.read_text(encoding="utf-8").partition("## Top level")[2]
    assert sorted(row["name"] for row in ROW.finditer(reference)) == sorted(config_keys(Config))


def test_rows_of_selected_keys() -> None:
    rows = _rows()
    for name, kind, default in [
        ("rollout.n", "whole number >= 2 and <= 4096", "`5`"),
        ("rollout.slots", "whole number >= 8 and <= 4096 or null", "`null`"),
        ("rollout.top_p", "number > 0 and <= 1", "`0.99`"),
        ("model.precision", '"fp32" or "bf16"', "`bf16`"),
        ("model.path", "text", "required"),
        ("optim.lr", "number > 0 and <= 1", "`1e-6`"),
        ("loss.kl_estimator", '"k1", "k2" or "k3"', "`k3`"),
        ("pending.enabled", "true or false", "`algorithm`'s"),
        ("train.trackers", 'list of "tensorboard" or "wandb"', "`[tensorboard]`"),
    ]:
        assert (rows[name]["accepts"], rows[name]["default"]) == (kind, default)


@pytest.mark.parametrize(
    "raw", ["typing", "Annotated", "NoneType", "str", "int", "float", "bool", "Optional"]
)
def test_rows_contain_no_python_types(raw: str) -> None:
    assert not [name for name, row in _rows().items() if re.search(rf"\b{raw}\b", row["accepts"])]


@pytest.mark.parametrize(
    "section", [name for name in Config.model_fields if name not in ("algorithm", "resume")]
)
def test_a_section_starts_with_one_sentence(section: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    sentence, rule = re.search(rf"^## `{section}`\n\n(.+)\n\n(.+)$", page, re.M).groups()  # type: ignore[union-attr]
    assert sentence.endswith(".")
    assert rule.startswith("| key ")


def test_descriptions_are_sentences() -> None:
    assert [key.name for key in config_keys(Config).values() if not key.description.endswith(".")] == []


def _differences(tmp_path: Path, algorithm: str) -> dict[str, object]:
    """Settings of an algorithm that differ from GRPO's."""
    minimal = "model: {path: m}\ndata: {path: d}\ntrain: {steps: 1, run_dir: r}\n"
    (tmp_path / "run.yaml").write_text(minimal)
    grpo, other = (load_config(tmp_path / "run.yaml", [f"algorithm={name}"]) for name in ("grpo", algorithm))
    return {
        f"{section}.{key}": value
        for section, keys in other.model_dump().items()
        if isinstance(keys, dict)
        for key, value in keys.items()
        if value != grpo.model_dump()[section][key]
    }


def test_the_table_of_switches_matches_the_preset(tmp_path: Path) -> None:
    table = re.search(r"^\| switch \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE.read_text(encoding="utf-8"), re.M)
    assert table
    named = re.findall(r"^\| `([\w.]+)` \|", table[1], re.M)
    assert dict.fromkeys(named, True) == _differences(tmp_path, "uec")
    assert len(named) == 6


def test_the_table_of_objectives_matches_the_presets(tmp_path: Path) -> None:
    table = re.search(r"^\| algorithm \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE.read_text(encoding="utf-8"), re.M)
    assert table
    documented = {
        name: {key: json.loads(value) for key, value in re.findall(r"`([\w.]+) = ([^`]+)`", settings)}
        for name, settings in re.findall(r"^\| `(\w+)` \| (.+) \|$", table[1], re.M)
    }
    assert documented == {name: _differences(tmp_path, name) for name in documented}
    assert {f"{name}+uec" for name in documented} - {"grpo+uec"} | {*documented, "uec"} == set(
        algorithm_names()
    )


def test_every_rule_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"\n- {rule.__doc__}\n" in page for rule in RULES)


def test_special_characters_do_not_break_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")
    lines = [line for line in page.partition("## Top level")[2].splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


class _Example(BaseModel):
    half_open: float = Field(0.5, gt=0, le=1)
    unbounded: float | None = None
    several: dict[str, int] | None = None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("half_open", "number > 0 and <= 1"),
        ("unbounded", "number or null"),
        ("several", "mapping of text to whole number or null"),
    ],
)
def test_accepted_values_in_words(name: str, words: str) -> None:
    assert accepted_values(_Example.model_fields[name]) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (1e-6, "1e-6"), (1e-12, "1e-12"), (0.2, "0.2"), (5, "5"), ("k3", "k3")],
)
def test_a_default_as_yaml(value: object, text: str) -> None:
    assert as_yaml(value) == text
