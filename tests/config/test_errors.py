"""Messages of rejected configs: keys, values and bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.configs import MINIMAL, config_error


@pytest.mark.parametrize(
    ("argument", "suggestion"),
    [
        ("exploration.temprature=1", "exploration.temperature?"),
        ("rollout.topp=1", "rollout.top_p?"),
        ("train.step=1", "train.steps?"),
        ("stabiliser.capacity=2", "stabilizer?"),
        ("eval.n=4", "evaluation?"),
        ("optimizer.lr=1", "optim?"),
        ("rollout.lr=1", "optim.lr?"),
        ("seed=1", "train.seed?"),
        ("n=8", "rollout.n, exploration.n or evaluation.n?"),
        ("evaluation.prompts=8", "evaluation.problems or rollout.prompts?"),
        ("learning_rate=1e-6", "optim.lr?"),
        ("rollout.num_generations=8", "rollout.n?"),
        ("beta=0.01", "loss.kl_coef?"),
    ],
)
def test_an_unknown_key_gets_a_suggestion(file: Path, argument: str, suggestion: str) -> None:
    message = config_error(file, argument)
    assert "unknown key" in message
    assert f"did you mean {suggestion}" in message


def test_an_unknown_key_without_suggestion_lists_the_keys(file: Path) -> None:
    assert "the keys of pending are enabled" in config_error(file, "pending.zzz=1")
    assert "the keys are algorithm, model, lora, data" in config_error(file, "zzz=1")


def test_a_misspelt_section_is_reported_before_a_missing_one(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        yaml.safe_dump({**{key: MINIMAL[key] for key in ("data", "train")}, "modle": {"path": "m"}})
    )
    assert "unknown key modle; did you mean model? (and 1 more)" in config_error(file)


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["rollout.n=1"], ["rollout.n = 1", "a whole number >= 2", "the default is 5"]),
        (["rollout.top_p=1.5"], ["rollout.top_p = 1.5", "number > 0 and <= 1", "the default is 0.99"]),
        (["rollout.temperature=0"], ["rollout.temperature = 0"]),
        (["rollout.slots=7"], ["rollout.slots = 7", "whole number >= 8 and <= 4096 or null"]),
        (["loss.clip_low=1.1"], ["loss.clip_low = 1.1"]),
        (["loss.kl_estimator=k4"], ["loss.kl_estimator = 'k4'", '"k1", "k2" or "k3"']),
        (["model.precision=fp16"], ["model.precision = 'fp16'", '"fp32" or "bf16"']),
        (["train.steps=many"], ["train.steps = 'many'", "a whole number"]),
        (["train.steps=2.5"], ["train.steps = 2.5"]),
        (["train.steps='5'"], ["train.steps = '5'"]),
        (["train.steps=true"], ["train.steps = true"]),
        (["model.freeze_vision=1"], ["model.freeze_vision = 1", "true or false"]),
        (["optim.lr=.nan"], ["optim.lr = nan"]),
        (["optim.lr=1e400"], ["optim.lr = inf"]),
        (["algorithm=ppo"], ["algorithm = 'ppo'", '"grpo", "uec", "dr_grpo"']),
        (["train.trackers=wandb"], ["train.trackers = 'wandb'", 'a list of "tensorboard" or "wandb"']),
        (["train.trackers=[mlflow]"], ["train.trackers.0 = 'mlflow'", "the default is [tensorboard]"]),
        (["rollout=5"], ["rollout = 5", "a section of keys: engine, prompts"]),
        (["exploration=null"], ["exploration = null", "enabled, n, temperature"]),
        (["model.path=[a, b]"], ["model.path = a list of 2", "text"]),
        (["train.run_dir=''"], ["train.run_dir = ''", "must not be empty"]),
        (['train.run_dir="a\\0b"'], [r"train.run_dir = 'a\x00b'", "control characters"]),
        (["rollout.n=1", "rollout.top_p=2"], ["rollout.n = 1", "and 1 more"]),
    ],
)
def test_the_error_names_a_value_out_of_bounds(file: Path, overrides: list[str], parts: list[str]) -> None:
    message = config_error(file, *overrides)
    assert message.startswith("command line: ")
    assert all(part in message for part in parts), message


def test_an_error_in_the_file_names_the_file(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8") + "\nloss: {clip_low: 2}\n", encoding="utf-8")
    assert config_error(file, "rollout.n=4").startswith(f"{file}: loss.clip_low = 2")


@pytest.mark.parametrize("missing", ["model.path", "data.path", "train.steps", "train.run_dir"])
def test_keys_without_default_are_required(tmp_path: Path, missing: str) -> None:
    section, key = missing.split(".")
    file = tmp_path / "run.yaml"
    file.write_text(
        yaml.safe_dump({**MINIMAL, section: {k: v for k, v in MINIMAL[section].items() if k != key}})
    )
    assert f"{missing} is missing" in config_error(file)
