from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.lib.launching import SHORT
from vlm_uec.algorithm.advantages import group_advantages
from vlm_uec.algorithm.objectives import algorithm_names
from vlm_uec.config import Config, OptimConfig, dump_config, load_config
from vlm_uec.config.fields import config_keys
from vlm_uec.config.rules import largest_advantage, largest_deviation
from vlm_uec.errors import UserError
from vlm_uec.zero.config import read_deepspeed_config

ROOT = Path(__file__).parents[2]
MINIMAL: dict[str, dict[str, Any]] = {
    "model": {"path": "m"},
    "data": {"path": "d"},
    "train": {"steps": 1, "run_dir": "r"},
}
SWITCHES = (
    "exploration.enabled",
    "retention.regular",
    "retention.exploration",
    "pending.enabled",
    "overlong_filter.enabled",
    "stabilizer.enabled",
)

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
reward.function reward.format_weight
deepspeed.config
train.steps train.seed train.eval_every train.save_every train.keep train.run_dir
resume
""".split()  # noqa: SIM905  (a table of names reads better)


def _at(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    return path


def _error_message(file: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config(file, overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


# --- keys and defaults ------------------------------------------------------------------------------------


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
        "evaluation.temperature": 0.5,
        "evaluation.n": 1,
        "train.seed": 1,
    }
    assert {key: _at(config, key) for key in reference} == reference
    assert config.unit == 512 * 5


# --- presets and precedence -------------------------------------------------------------------------------


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
    return {key: _at(config, key) for key in keys if _at(config, key) != _at(other, key)}


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
    assert {key: _at(config, key) for key in SWITCHES} == dict.fromkeys(SWITCHES, on)


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
        ("train.seed=010", 10),
        ("train.run_dir=2024-01-01", "2024-01-01"),
        ("train.run_dir=1:30", "1:30"),
        ("train.run_dir=0x10", "0x10"),
        ("model.freeze_vision=Yes", True),
        ("model.freeze_vision=off", False),
    ],
)
def test_an_arguments_value_is_yaml(file: Path, argument: str, value: object) -> None:
    assert _at(load_config(file, [argument]), argument.partition("=")[0]) == value


def test_an_argument_for_a_section_keeps_its_other_keys(file: Path) -> None:
    config = load_config(file, ["rollout.n=7", "rollout={top_p: 1.0}"])
    assert (config.rollout.n, config.rollout.top_p) == (7, 1.0)


# --- data sets --------------------------------------------------------------------------------------------


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
    assert "data.validation_path is missing" in _error_message(file, *mixture)
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
    message = _error_message(file, *overrides)
    assert all(part in message for part in parts), message


# --- error messages ---------------------------------------------------------------------------------------


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
    message = _error_message(file, argument)
    assert "unknown key" in message
    assert f"did you mean {suggestion}" in message


def test_an_unknown_key_without_suggestion_lists_the_keys(file: Path) -> None:
    assert "the keys of pending are enabled" in _error_message(file, "pending.zzz=1")
    assert "the keys are algorithm, model, lora, data" in _error_message(file, "zzz=1")


def test_a_misspelt_section_is_reported_before_a_missing_one(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        yaml.safe_dump({**{key: MINIMAL[key] for key in ("data", "train")}, "modle": {"path": "m"}})
    )
    assert "unknown key modle; did you mean model? (and 1 more)" in _error_message(file)


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
    message = _error_message(file, *overrides)
    assert message.startswith("command line: ")
    assert all(part in message for part in parts), message


def test_an_error_in_the_file_names_the_file(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8") + "\nloss: {clip_low: 2}\n", encoding="utf-8")
    assert _error_message(file, "rollout.n=4").startswith(f"{file}: loss.clip_low = 2")


@pytest.mark.parametrize("missing", ["model.path", "data.path", "train.steps", "train.run_dir"])
def test_keys_without_default_are_required(tmp_path: Path, missing: str) -> None:
    section, key = missing.split(".")
    file = tmp_path / "run.yaml"
    file.write_text(
        yaml.safe_dump({**MINIMAL, section: {k: v for k, v in MINIMAL[section].items() if k != key}})
    )
    assert f"{missing} is missing" in _error_message(file)


# --- settings that contradict each other ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["data.min_pixels=5000", "data.max_pixels=4000"], ["min_pixels 5000", "max_pixels 4000"]),
        (["optim.minibatch=100"], ["optim.minibatch 100", "rollout.prompts 512", "64 does"]),
        (["optim.minibatch=1000"], ["optim.minibatch 1000", "512 does"]),
        (["stabilizer.capacity=0.5"], ["stabilizer.capacity 0.5", "= 2560"]),
        (
            ["optim.lr=0.5", "optim.weight_decay=3"],
            ["optim.lr * optim.weight_decay is 1.5", "1 - 1.5 = -0.5"],
        ),
        (["loss.dual_clip=1.2"], ["loss.dual_clip 1.2", "1 + loss.clip_high = 1.2"]),
        (["loss.dual_clip=1.25", "loss.clip_high=0.28"], ["loss.dual_clip 1.25", "= 1.28"]),
        (["exploration.temperature=0.9"], ["exploration.temperature 0.9", "rollout.temperature 1"]),
        # (5 - 1) / sqrt(5) = 1.789, (20 - 1) / sqrt(20) = 4.249
        (["retention.threshold=1.79"], ["retention.threshold 1.79", "rollout.n = 5", "1.789", "0.05"]),
        (
            ["retention.retain=magnitude", "retention.magnitude=4.25"],
            ["retention.magnitude 4.25", "exploration.n = 20", "(20 - 1) / sqrt(20) = 4.249"],
        ),
        (["stabilizer.min_advantage=4.25"], ["stabilizer.min_advantage 4.25", "1.789", "4.249"]),
        (
            ["stabilizer.min_advantage=1.79", "exploration.enabled=false"],
            ["(5 - 1) / sqrt(5) = 1.789", "stabilizer.enabled=false"],
        ),
        # (2 - 1) / sqrt(2) = 0.707 is below the default of 1
        (["rollout.n=2", "exploration.enabled=false"], ["stabilizer.min_advantage 1 ", "0.707"]),
        (
            ["train.eval_every=1", "evaluation.n=4", "evaluation.temperature=0"],
            ["evaluation.n 4", "evaluation.temperature 0", "evaluation.n=1"],
        ),
    ],
)
def test_a_contradiction_is_reported_with_its_arithmetic(
    file: Path, overrides: list[str], parts: list[str]
) -> None:
    message = _error_message(file, *overrides)
    assert str(file) in message
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    "overrides",
    [
        ["stabilizer.capacity=0.5", "stabilizer.enabled=false"],
        ["stabilizer.min_advantage=9", "stabilizer.enabled=false"],
        ["stabilizer.min_advantage=1.78", "exploration.enabled=false"],
        ["stabilizer.min_advantage=4.24"],
        ["stabilizer.min_advantage=-9"],
        ["retention.threshold=9", "retention.regular=false"],
        ["retention.threshold=1.78"],
        ["retention.magnitude=9"],
        ["retention.magnitude=9", "retention.retain=magnitude", "retention.exploration=false"],
        ["retention.magnitude=9", "retention.retain=magnitude", "exploration.enabled=false"],
        ["exploration.temperature=1.0"],
        ["exploration.temperature=0.5", "exploration.enabled=false"],
        ["loss.dual_clip=1.21"],
        ["loss.dual_clip=null", "loss.clip_high=5"],
        ["algorithm=cispo", "loss.clip_high=5"],
        ["evaluation.n=4", "evaluation.temperature=0"],
        ["train.eval_every=1", "evaluation.n=1", "evaluation.temperature=0"],
    ],
    ids=" ".join,
)
def test_consistent_or_unused_settings_are_accepted(file: Path, overrides: list[str]) -> None:
    assert load_config(file, overrides)


@pytest.mark.parametrize("algorithm", ["uec", "grpo"])
@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_can_be_set_alone(file: Path, algorithm: str, switch: str) -> None:
    on = algorithm == "grpo"
    config = load_config(file, [f"algorithm={algorithm}", f"{switch}={str(on).lower()}"])
    assert {key: _at(config, key) for key in SWITCHES} == {**dict.fromkeys(SWITCHES, not on), switch: on}


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40))
def test_no_unscaled_group_exceeds_the_largest_deviation(rewards: list[float]) -> None:
    bound = largest_deviation(len(rewards), spread=2.0)
    assert max(map(abs, group_advantages(rewards, scaled=False))) <= bound + 1e-9


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["retention.threshold=0.875"],
            "no advantage in a group of rollout.n = 8 exceeds 1 x (8 - 1) / 8 = 0.875",
        ),
        (
            ["stabilizer.min_advantage=0.95", "exploration.n=20"],
            "exploration.n = 20 exceeds 1 x (20 - 1) / 20",
        ),
    ],
)
def test_unscaled_advantages_have_other_bounds(file: Path, overrides: list[str], message: str) -> None:
    settings = ["algorithm=dr_grpo+uec", "rollout.n=8"]
    assert message in _error_message(file, *settings, *overrides)
    # A reward that falls by up to 1 for its length spreads over 2.
    assert load_config(file, [*settings, *overrides, "reward.overlong_buffer=0.1"])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_no_group_exceeds_the_largest_advantage(rewards: list[float]) -> None:
    assert max(map(abs, group_advantages(rewards))) <= largest_advantage(len(rewards)) + 1e-9


@pytest.mark.parametrize("n", [2, 5, 20])
def test_one_right_answer_reaches_the_largest_advantage(n: int) -> None:
    """Except for the 1e-6 added to the standard deviation of 1 / sqrt(n)."""
    assert group_advantages([1.0] + [0.0] * (n - 1))[0] == pytest.approx(largest_advantage(n), rel=1e-5)


# --- untrusted files and arguments ------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["train.steps", "=5", "", "--steps", "train..steps=5", ".=1", "a." * 99])
def test_an_argument_without_key_or_value_shows_the_syntax(file: Path, argument: str) -> None:
    assert "write dotted.key=value" in _error_message(file, argument)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("train.steps=[1", "line 1"),
        ("model.path=\t: x", "cannot start any token"),
        ("prompt.template={{ question }} Go.", "quote text: prompt.template='\"...\"'"),
        ("train.steps=!!timestamp x", "the tag !!timestamp is not supported"),
        ("train.steps=!!binary x", "!!binary"),
        ("train.steps=!!set {a}", "!!set"),
        ("train.steps=!!int ''", "'' is not a valid int"),
        ("train.steps=!!int 5 apples", "'5 apples' is not a valid int"),
        ("train.steps=!!int {}", "expected a scalar"),
        ("train.steps=!!bool perhaps", "'perhaps' is not a valid bool"),
        ("optim.lr=!!float ''", "'' is not a valid float"),
        ("optim.lr=!!python/object/apply:os.system ['true']", "!!python/object/apply:os.system"),
        ("train.steps=" + "9" * 5000, "a whole number of 5000 digits"),
        ("train={<<: 5}", "expected a mapping"),
        ("train.run_dir=\udcff", r"'\udcff' is not allowed"),
        ('train.run_dir="\\ud800"', "incomplete surrogate pair"),
        ("train.run_dir=*nothing", "undefined alias"),
        ("train.run_dir=a\0b", r"'\x00' is not allowed"),
        ("train.run_dir=" + "[" * 3000, "nested over 16 levels deep"),
    ],
    ids=lambda value: value[:40].encode("unicode_escape").decode(),
)
def test_an_argument_that_is_not_yaml_is_rejected(file: Path, argument: str, message: str) -> None:
    error = _error_message(file, argument)
    assert "not valid YAML" in error
    assert message in error


@pytest.mark.parametrize("argument", ["a.b.c.d=1", "train.steps.more=1", "x" * 9999 + "=1", "a\nb=1"])
def test_an_argument_with_an_invalid_key_is_rejected(file: Path, argument: str) -> None:
    assert "unknown key" in _error_message(file, argument)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no sections"),
        (b"- a\n- b\n", "has no sections"),
        (b"just text", "has no sections"),
        (b"model: [", "not valid YAML (line 1"),
        (b"\xff\xfe\x00", "its bytes are not UTF-8 text"),
        (b"a: !!python/object/apply:os.system ['true']", "the tag !!python/object/apply:os.system"),
        (b"a: &a [*a]", "*a is used inside of its own anchor"),
        (b"&a a: {b: &b [c, {d: *b}]}", "*b is used inside of its own anchor"),
        (b"1: 2\n", "the key 1 is not text"),
        (b"{[a]: 1}", "not text"),
        (b"!!str [a]: 1", "not text"),
        (b"train: {steps: 1}\nmodel: {}\ntrain: {steps: 2}\n", "line 3: the key train is already in line 1"),
        (b"train:\n  steps: 1\n  steps: 1\n", "line 3: the key steps is already in line 2; keep one"),
        (b"[" * 5000, "nested over 16 levels deep"),
        (b"- " * 5000, "nested over 16 levels deep"),
        (b"a: [" + b"1, " * 5000 + b"]", "over 2000 values"),
        (b"a: 1\n--- \nb: 1", "not valid YAML"),
        (b"%YAML 9.9\n--- {}", "not valid YAML"),
        (b"#" * 2**18 + b"#", "over 256 KiB"),
    ],
)
def test_an_invalid_file_is_rejected(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    error = _error_message(file)
    assert message in error
    assert "bad.yaml" in error


@pytest.mark.parametrize("use", ["zzz: *{0}", "data: {{mixture: *{0}}}", "train: *{0}", "zzz: {{<<: *{0}}}"])
@pytest.mark.parametrize(
    "link", ["[*{0}, *{0}, *{0}]", "{{x: *{0}, y: *{0}}}", "{{<<: [*{0}, *{0}], {1}: 1}}"]
)
def test_exponential_aliases_are_rejected(tmp_path: Path, link: str, use: str) -> None:
    """40 levels of aliases expand to at least 2 ** 40 values ("billion laughs")."""
    file = tmp_path / "bomb.yaml"
    levels = [f"a{n}: &a{n} " + link.format(f"a{n - 1}", f"k{n}") for n in range(1, 41)]
    file.write_text("\n".join(["a0: &a0 {lol: 1}", *levels, use.format("a40")]))
    assert "over 2000 values, with aliases expanded" in _error_message(file)


def test_anchors_work(tmp_path: Path) -> None:
    file = tmp_path / "anchors.yaml"
    file.write_text(
        "model: {path: &model some/model}\n"
        "data: {path: *model}\n"
        "rollout: &sampling {n: 8, temperature: 0.7}\n"
        "exploration: {<<: *sampling, n: 16, temperature: 1.1}\n"
        "evaluation: {<<: *sampling}\n"
        "train: {steps: 1, run_dir: r}\n"
    )
    config = load_config(file)
    assert config.data.path == "some/model"
    assert (config.exploration.n, config.exploration.temperature) == (16, 1.1)
    assert (config.evaluation.n, config.evaluation.temperature) == (8, 0.7)


def test_a_byte_order_mark_is_ignored(file: Path) -> None:
    plain = load_config(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_config(file) == plain


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read" in _error_message(tmp_path / "absent.yaml")
    assert "cannot be read" in _error_message(tmp_path)
    assert "cannot be read" in _error_message(tmp_path / "nul\0l.yaml")
    assert "cannot be read" in _error_message(tmp_path / ("long" * 2000))


@given(st.text(max_size=200))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        load_config(ROOT / "configs" / "tiny_cpu.yaml", [f"train.run_dir={text}"])
    except UserError as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) < 500


# --- dumping and loading ----------------------------------------------------------------------------------


TEXT = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.just("\n")


@settings(max_examples=40, deadline=None)
@given(
    lr=st.floats(1e-9, 1.0),
    top_p=st.floats(1e-6, 1.0),
    dual_clip=st.none() | st.floats(1.2, 10.0, exclude_min=True),
    template=st.none() | st.text(TEXT, min_size=1, max_size=30),
    algorithm=st.sampled_from(["uec", "grpo"]),
)
def test_a_dumped_config_loads_equal(
    tmp_path_factory: pytest.TempPathFactory, lr: float, top_p: float, dual_clip: float | None,
    template: str | None, algorithm: str,
) -> None:  # fmt: skip
    tree = {
        **MINIMAL,
        "algorithm": algorithm,
        "optim": {"lr": lr},
        "rollout": {"top_p": top_p},
        "loss": {"dual_clip": dual_clip},
        "prompt": {"template": template},
        "exploration": {"enabled": algorithm == "grpo"},
    }
    config = Config.model_validate(tree)
    file = tmp_path_factory.getbasetemp() / "dumped.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(file) == config


@pytest.mark.parametrize(
    "text", ["1e5", "yes", "null", "~", "010", "0x10", "1:30", "2024-01-01", "<<", "=", "- a", "a: b", "é #"]
)
def test_text_that_looks_like_another_type_stays_text(tmp_path: Path, text: str) -> None:
    config = Config.model_validate({**MINIMAL, "data": {"mixture": {text: 1.0}, "validation_path": text}})
    file = tmp_path / "dumped.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(file) == config
    assert yaml.safe_load(dump_config(config))["data"]["validation_path"] == text


def test_small_numbers_stay_numbers(file: Path, tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-06 as text, so a dump must not contain it."""
    dumped = dump_config(load_config(file))
    assert yaml.safe_load(dumped)["optim"]["lr"] == 1e-6
    again = tmp_path / "again.yaml"
    again.write_text(dumped)
    assert load_config(again) == load_config(file)


# --- the recipes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("configs/*.yaml")), ids=lambda path: path.name)
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
