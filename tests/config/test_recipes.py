"""The recipes load, and the comments at their heads are valid and complete: users copy their commands."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT, SHORT
from data_prep.__main__ import COMMANDS, build_parser
from eval.passk import check_arguments, parse_arguments
from vlm_uec.algorithm.objectives import OBJECTIVES
from vlm_uec.config import OptimConfig, load_config, preset
from vlm_uec.config.file import merge_sections
from vlm_uec.zero.config import read_deepspeed_config

RECIPES = sorted((ROOT / "configs").glob("*.yaml"))

each_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


def _head(recipe: Path) -> str:
    lines = recipe.read_text(encoding="utf-8").splitlines()
    head = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return "\n".join(line.removeprefix("#") for line in head)


def _commands(recipe: Path, program: str) -> list[list[str]]:
    """Arguments of every call of `program` at the start of a line of the head."""
    text = _head(recipe).replace("\\\n", " ")
    start = r"^ +(?:\w+=\S+ )*(?:python|deepspeed)(?: --\w+ \d+)?(?: -m)?"
    return [shlex.split(line) for line in re.findall(rf"{start} {program} (.*)$", text, re.M)]


@each_recipe
def test_the_head_has_model_hardware_and_results(recipe: Path) -> None:
    head = _head(recipe)
    assert re.match(r" [^\n]+ of (the bundled tiny )?Qwen2\.5", head)
    assert re.search(r"^ Hardware: ", head, re.M)
    assert re.search(r"^ (Published|Measured)\b", head, re.M)


@pytest.mark.parametrize("objective", [*OBJECTIVES])
def test_each_objectives_7b_recipe_equals_its_preset(objective: str) -> None:
    """So that a recipe with another `algorithm` argument is exactly that algorithm."""
    recipe = ROOT / "configs" / f"geometry3k_qwen2.5_vl_7b_{objective}.yaml"
    written, grpo = (
        load_config(path).model_dump(exclude={"train": {"run_dir"}})
        for path in (recipe, recipe.with_name("geometry3k_qwen2.5_vl_7b_grpo.yaml"))
    )
    if not written["loss"]["kl_coef"]:
        grpo["loss"]["kl_token_max"] = None  # unused
    assert written == merge_sections(grpo, preset(objective) | {"algorithm": objective})


@each_recipe
def test_the_commands_in_the_head_are_valid(recipe: Path) -> None:
    prepared = [build_parser(call).parse_args(call) for call in _commands(recipe, "data_prep")]
    assert {call.command for call in prepared} <= set(COMMANDS)
    data = {str(call.out) for call in prepared}

    trained = _commands(recipe, r"train\.py")
    assert ["--config", f"configs/{recipe.name}"] in trained

    (evaluated,) = [parse_arguments(call) for call in _commands(recipe, r"eval/passk\.py")]
    check_arguments(evaluated)
    assert evaluated.data in data
    config = recipe.read_text(encoding="utf-8")
    assert f"path: {evaluated.data}\n" in config
    assert f"run_dir: {evaluated.model.removesuffix('/export')}\n" in config


@each_recipe
def test_a_recipe_loads_and_its_deepspeed_file_exists(recipe: Path) -> None:
    config = load_config(recipe)
    assert (ROOT / config.deepspeed.config).is_file()
    if config.prompt.template and config.prompt.template.endswith(".jinja"):
        assert (ROOT / config.prompt.template).is_file()


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("configs/*.json")), ids=lambda path: path.name)
def test_a_deepspeed_file_is_stage_three_and_leaves_settings_to_the_config(recipe: Path) -> None:
    assert json.loads(recipe.read_text())["zero_optimization"]["stage"] == 3
    merged = read_deepspeed_config(str(recipe), "bf16", OptimConfig())
    assert merged["gradient_clipping"] == 1.0
    assert merged["bf16"] == {"enabled": True}


def test_the_settings_of_short_test_runs_are_valid() -> None:
    assert load_config(ROOT / "configs" / "tiny_cpu.yaml", SHORT).stabilizer.min_advantage == -9


def test_the_recipes_exist() -> None:
    assert {"zero3.json", "zero3_offload.json", "tiny_cpu.yaml"} <= {
        path.name for path in ROOT.glob("configs/*")
    }
