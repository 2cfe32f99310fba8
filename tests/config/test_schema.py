"""Keys, their defaults, and the data sets of a config."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.configs import MINIMAL, config_error, value_at
from vlm_uec.config import Config, load_config
from vlm_uec.config.fields import config_keys

# Public names, which scripts use: they must not be renamed.
PUBLIC = """
model.path model.freeze_vision
data.path data.min_pixels data.max_pixels data.max_prompt_tokens
prompt.template algorithm
rollout.engine rollout.prompts rollout.n rollout.temperature rollout.top_p rollout.max_tokens
exploration.enabled exploration.n exploration.temperature
retention.regular retention.exploration retention.threshold
pending.enabled overlong_filter.enabled
stabilizer.enabled stabilizer.capacity stabilizer.frequency stabilizer.min_advantage
loss.name loss.clip_low loss.clip_high loss.dual_clip loss.aggregation loss.kl_coef loss.kl_estimator
optim.lr optim.weight_decay optim.max_grad_norm optim.minibatch
reward.function reward.format_weight reward.thinking reward.statements
deepspeed.config
train.steps train.seed train.eval_every train.save_every train.keep train.run_dir
resume
""".split()  # noqa: SIM905  (a table of names reads better)


@pytest.mark.parametrize("key", PUBLIC)
def test_a_public_key_exists(key: str) -> None:
    assert key in config_keys(Config)


def test_every_key_has_a_description() -> None:
    assert [key.name for key in config_keys(Config).values() if not key.description] == []


def test_the_defaults_are_the_reference_settings(file: Path) -> None:
    """The table of the paper's reference configuration (Geometry3K, 7B)."""
    config = load_config(file)
    reference = {
        "rollout.prompts": 512,
        "rollout.n": 5,
        "rollout.temperature": 1.0,
        "rollout.top_p": 0.99,
        "rollout.max_tokens": 2048,
        "exploration.n": 20,
        "exploration.temperature": 1.2,
        "retention.threshold": 0.05,
        "stabilizer.min_advantage": 1.0,
        "stabilizer.capacity": 2.0,
        "stabilizer.frequency": 5,
        "optim.lr": 1e-6,
        "optim.weight_decay": 1e-2,
        "optim.max_grad_norm": 1.0,
        "optim.minibatch": 128,
        "loss.clip_low": 0.2,
        "loss.clip_high": 0.2,
        "loss.dual_clip": 3.0,
        "loss.kl_coef": 1e-2,
        "loss.kl_estimator": "k3",
        "loss.aggregation": "token_mean",
        "data.max_prompt_tokens": 2048,
        "data.min_pixels": 262144,
        "data.max_pixels": 4194304,
        "reward.format_weight": 0.0,
        "reward.thinking": "ignore",
        "reward.statements": "accept",
        "evaluation.temperature": 0.5,
        "evaluation.n": 1,
        "train.seed": 1,
    }
    assert {key: value_at(config, key) for key in reference} == reference
    assert config.unit == 512 * 5


def test_a_path_has_weight_one(file: Path) -> None:
    assert load_config(file).data.weights == {"d": 1.0}


def test_a_mixture_replaces_the_path(file: Path) -> None:
    config = load_config(file, ["data.path=null", "data.mixture={a/b.c: 3, d: 0.5}"])
    assert config.data.weights == {"a/b.c": 3.0, "d": 0.5}
    assert config.data.path is None


def test_an_arguments_mixture_replaces_the_files(file: Path) -> None:
    file.write_text(yaml.safe_dump({**MINIMAL, "data": {"mixture": {"a": 1, "b": 1}}}))
    assert load_config(file, ["data.mixture={c: 2}"]).data.weights == {"c": 2.0}


def test_a_mixture_with_validation_needs_a_validation_path(file: Path) -> None:
    mixture = ["data.path=null", "data.mixture={a: 1}", "train.eval_every=5"]
    assert "data.validation_path is missing" in config_error(file, *mixture)
    assert load_config(file, [*mixture, "data.validation_path=v"]).data.validation_path == "v"
    assert load_config(file, [*mixture, "train.eval_every=0"]).data.validation_path is None


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["data.mixture={a: 1}"], ["data.path", "data.mixture", "data.path=null"]),
        (["data.path=null"], ["data.path is missing", "data.mixture={PATH: WEIGHT"]),
        (["data.path=null", "data.mixture={}"], ["data.path is missing"]),
        (["data.path=null", "data.mixture={a: 0}"], ["data.mixture.a = 0", "number > 0"]),
        (["data.path=null", "data.mixture={a: -1.5}"], ["data.mixture.a = -1.5"]),
        (["data.path=null", "data.mixture={a: .inf}"], ["data.mixture.a = inf"]),
        (["data.path=null", "data.mixture={a: 1e300}"], ["data.mixture.a", "<= 1000000"]),
        (["data.path=null", "data.mixture={a: x}"], ["data.mixture.a = 'x'"]),
        (["data.path=null", "data.mixture={'': 1}"], ["must not be empty"]),
        (["data.path=null", "data.mixture=[a, b]"], ["data.mixture = a list of 2", "mapping of text to"]),
        (["data.path=null", "data.mixture.a=1"], ["data.mixture is one value", "data.mixture=VALUE"]),
        (["data.path=null", "data.mixture={1: 1}"], ["the key 1 is not text", "quotes"]),
        (["data.path=null", "data.mixture={a: 1, a: 2}"], ["the key a is already in line 1; keep one"]),
    ],
)
def test_an_invalid_mixture_is_rejected(file: Path, overrides: list[str], parts: list[str]) -> None:
    message = config_error(file, *overrides)
    assert all(part in message for part in parts), message
