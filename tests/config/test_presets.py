"""Presets of the algorithms, and which of file, preset and argument is used."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.configs import MINIMAL, SWITCHES, value_at
from vlm_uec.algorithm.objectives import algorithm_names
from vlm_uec.config import Config, dump_config, load_config
from vlm_uec.config.fields import config_keys

# Settings of each objective's authors that differ from GRPO with the reference settings.
OBJECTIVES: dict[str, dict[str, object]] = {
    "grpo": {},
    "dr_grpo": {"advantage.scaled": False, "loss.aggregation": "constant", "loss.kl_coef": 0.0},
    "dapo": {
        "loss.clip_high": 0.28,
        "loss.kl_coef": 0.0,
        "reward.overlong_buffer": 0.2,
        "retention.mixed_groups": True,
        "pending.enabled": True,
    },
    "gspo": {
        "loss.name": "gspo",
        "loss.clip_low": 3e-4,
        "loss.clip_high": 4e-4,
        "loss.aggregation": "sequence_mean",
        "loss.kl_coef": 0.0,
    },
    "cispo": {"loss.name": "cispo", "loss.clip_low": 1.0, "loss.clip_high": 0.28, "loss.kl_coef": 0.0},
    "sapo": {"loss.name": "sapo", "loss.aggregation": "sequence_mean", "loss.kl_coef": 0.0},
    "entropy_bonus": {"loss.entropy_coef": 1e-3},
    "kl_cov": {"loss.name": "unclipped", "loss.kl_cov_coef": 1.0, "loss.kl_coef": 0.0},
}


ALGORITHMS = algorithm_names()


def _differences(config: Config, other: Config) -> dict[str, object]:
    keys = set(config_keys(Config)) - {"algorithm"}
    return {key: value_at(config, key) for key in keys if value_at(config, key) != value_at(other, key)}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_objective_sets_its_authors_values(file: Path, objective: str) -> None:
    config = load_config(file, [f"algorithm={objective}"])
    assert _differences(config, load_config(file, ["algorithm=grpo"])) == OBJECTIVES[objective]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_uec_sets_its_switches_and_keeps_the_objective(file: Path, objective: str) -> None:
    """R - mean stays below 1, so A0 = 1 would replay nothing; 0.5 is about as selective."""
    without_uec = load_config(file, [f"algorithm={objective}"])
    with_uec = load_config(file, ["algorithm=uec" if objective == "grpo" else f"algorithm={objective}+uec"])
    added = dict.fromkeys(set(SWITCHES) - set(OBJECTIVES[objective]), True)
    own_bound = {"stabilizer.min_advantage": 0.5} if objective == "dr_grpo" else {}
    assert _differences(with_uec, without_uec) == added | own_bound


@pytest.mark.parametrize(("algorithm", "on"), [("uec", True), ("grpo", False)])
def test_a_preset_sets_every_switch(file: Path, algorithm: str, on: bool) -> None:
    config = load_config(file, [f"algorithm={algorithm}"])
    assert {key: value_at(config, key) for key in SWITCHES} == dict.fromkeys(SWITCHES, on)


def test_the_default_preset_is_uec(file: Path) -> None:
    assert load_config(file) == load_config(file, ["algorithm=uec"])


def test_arguments_override_the_file_which_overrides_its_preset(file: Path) -> None:
    file.write_text(
        yaml.safe_dump({**MINIMAL, "algorithm": "grpo", "exploration": {"enabled": True, "n": 7}})
    )
    config = load_config(file)
    assert (config.exploration.enabled, config.exploration.n, config.pending.enabled) == (True, 7, False)
    config = load_config(file, ["exploration.enabled=false", "exploration.temperature=1.1"])
    assert (config.exploration.enabled, config.exploration.n, config.exploration.temperature) == (
        False,
        7,
        1.1,
    )


def test_an_algorithm_argument_overrides_the_files_settings(file: Path) -> None:
    file.write_text(yaml.safe_dump({**MINIMAL, "algorithm": "grpo", "pending": {"enabled": False}}))
    config = load_config(file, ["algorithm=uec"])
    assert (config.exploration.enabled, config.pending.enabled) == (True, True)
    assert not load_config(file, ["pending.enabled=false", "algorithm=uec"]).pending.enabled


@pytest.mark.parametrize("written", ALGORITHMS)
@pytest.mark.parametrize("other", ALGORITHMS)
def test_a_dumped_config_with_another_algorithm_equals_that_algorithm(
    tmp_path: Path, file: Path, written: str, other: str
) -> None:
    """A dumped config has every key; one argument must be enough to compare two algorithms."""
    dumped = tmp_path / "dumped.yaml"
    dumped.write_text(dump_config(load_config(file, [f"algorithm={written}"])), encoding="utf-8")
    config = load_config(dumped, [f"algorithm={other}"])
    # The preset sets A0 only with R - mean; otherwise it is the user's setting.
    unchanged = {"stabilizer.min_advantage"} if written == "dr_grpo+uec" else set()
    assert set(_differences(config, load_config(file, [f"algorithm={other}"]))) - unchanged == set()


def test_the_last_of_two_arguments_is_used(file: Path) -> None:
    assert load_config(file, ["train.steps=3", "train.steps=4"]).train.steps == 4


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("optim.lr=1e-6", 1e-6),
        ("optim.lr=2.5e-5", 2.5e-5),
        ("loss.dual_clip=null", None),
        ("model.freeze_vision=true", True),
        ("model.path=a=b", "a=b"),
        ("prompt.template='{{ question }} Think.'", "{{ question }} Think."),
        ("resume=auto", "auto"),
        ("data.max_pixels=4_000_000", 4_000_000),
        ("train.steps=1_000", 1000),
        ("train.run_dir=_1000", "_1000"),
        ("train.seed=010", 10),
        ("train.run_dir=2024-01-01", "2024-01-01"),
        ("train.run_dir=1:30", "1:30"),
        ("train.run_dir=0x10", "0x10"),
        ("model.freeze_vision=Yes", True),
        ("model.freeze_vision=off", False),
    ],
)
def test_an_arguments_value_is_yaml(file: Path, argument: str, value: object) -> None:
    assert value_at(load_config(file, [argument]), argument.partition("=")[0]) == value


def test_an_argument_for_a_section_keeps_its_other_keys(file: Path) -> None:
    config = load_config(file, ["rollout.n=7", "rollout={top_p: 1.0}"])
    assert (config.rollout.n, config.rollout.top_p) == (7, 1.0)
