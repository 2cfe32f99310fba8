from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.config import Config, OptimConfig, config_keys, dump_config, load_config
from vlm_uec.errors import UserError
from vlm_uec.policy.zero import read_deepspeed_config

ROOT = Path(__file__).parents[1]
LEAST: dict[str, dict[str, Any]] = {
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

# The public names: what scripts set, and must not be renamed.
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
    path.write_text(yaml.safe_dump(LEAST))
    return path


def _refusal(file: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config(file, overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


# --- keys and defaults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", PUBLIC)
def test_a_public_key_exists(key: str) -> None:
    assert key in config_keys()


def test_every_key_says_what_it_is() -> None:
    def undescribed(section: type[Any], prefix: str = "") -> list[str]:
        missing: list[str] = []
        for name, field in section.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                missing += undescribed(field.annotation, f"{prefix}{name}.")
            elif not field.description:
                missing.append(prefix + name)
        return missing

    assert undescribed(Config) == []


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


@pytest.mark.parametrize(("algorithm", "on"), [("uec", True), ("grpo", False)])
def test_a_preset_turns_every_switch(file: Path, algorithm: str, on: bool) -> None:
    config = load_config(file, [f"algorithm={algorithm}"])
    assert {key: _at(config, key) for key in SWITCHES} == dict.fromkeys(SWITCHES, on)


def test_the_default_preset_is_uec(file: Path) -> None:
    assert load_config(file) == load_config(file, ["algorithm=uec"])


def test_the_file_goes_before_the_preset_and_arguments_before_the_file(file: Path) -> None:
    file.write_text(yaml.safe_dump({**LEAST, "algorithm": "grpo", "exploration": {"enabled": True, "n": 7}}))
    config = load_config(file)
    assert (config.exploration.enabled, config.exploration.n, config.pending.enabled) == (True, 7, False)
    config = load_config(file, ["exploration.enabled=false", "exploration.temperature=1.1"])
    assert (config.exploration.enabled, config.exploration.n, config.exploration.temperature) == (
        False,
        7,
        1.1,
    )


def test_a_preset_given_as_an_argument_goes_below_the_files_switches(file: Path) -> None:
    file.write_text(yaml.safe_dump({**LEAST, "algorithm": "grpo", "pending": {"enabled": False}}))
    config = load_config(file, ["algorithm=uec"])
    assert (config.exploration.enabled, config.pending.enabled) == (True, False)


def test_of_two_arguments_the_last_counts(file: Path) -> None:
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
    ],
)
def test_an_arguments_value_is_yaml(file: Path, argument: str, value: object) -> None:
    assert _at(load_config(file, [argument]), argument.partition("=")[0]) == value


# --- refusals: what, where, how to mend -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "nearest"),
    [
        ("exploration.temprature=1", "exploration.temperature"),
        ("stabiliser.capacity=2", "stabilizer"),
        ("rollout.topp=1", "rollout.top_p"),
        ("train.step=1", "train.steps"),
    ],
)
def test_an_unknown_key_brings_up_the_nearest(file: Path, argument: str, nearest: str) -> None:
    message = _refusal(file, argument)
    assert "unknown key" in message
    assert f"did you mean {nearest}" in message


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["data.min_pixels=5000", "data.max_pixels=4000"], ["min_pixels 5000", "max_pixels 4000"]),
        (["rollout.prompts=512", "optim.minibatch=100"], ["optim.minibatch 100", "rollout.prompts 512"]),
        (["stabilizer.capacity=0.5"], ["stabilizer.capacity 0.5"]),
        (["rollout.n=1"], ["rollout.n = 1", "greater than 1"]),
        (["rollout.top_p=1.5"], ["rollout.top_p = 1.5"]),
        (["rollout.temperature=0"], ["rollout.temperature = 0"]),
        (["loss.clip_low=1"], ["loss.clip_low = 1"]),
        (["loss.kl_estimator=k4"], ["loss.kl_estimator = 'k4'", "k1"]),
        (["model.precision=fp16"], ["model.precision = 'fp16'", "bf16"]),
        (["train.steps=many"], ["train.steps = 'many'"]),
        (["train.steps=2.5"], ["train.steps = 2.5"]),
        (["optim.lr=.nan"], ["optim.lr = nan"]),
        (["algorithm=ppo"], ["algorithm = 'ppo'", "grpo"]),
        (["rollout=5"], ["rollout = 5"]),
        (["exploration=null"], ["exploration = None"]),
        (["rollout.n=1", "rollout.top_p=2"], ["rollout.n = 1", "and 1 more"]),
    ],
)
def test_a_value_out_of_bounds_or_a_contradiction_is_named(
    file: Path, overrides: list[str], parts: list[str]
) -> None:
    message = _refusal(file, *overrides)
    assert str(file) in message
    assert all(part in message for part in parts), message


def test_a_capacity_that_is_not_used_is_not_complained_of(file: Path) -> None:
    assert load_config(file, ["stabilizer.capacity=0.5", "stabilizer.enabled=false"])


@pytest.mark.parametrize("missing", ["model.path", "data.path", "train.steps", "train.run_dir"])
def test_what_has_no_default_must_be_given(tmp_path: Path, missing: str) -> None:
    section, key = missing.split(".")
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({**LEAST, section: {k: v for k, v in LEAST[section].items() if k != key}}))
    assert f"{missing} is missing" in _refusal(file)


@pytest.mark.parametrize("argument", ["train.steps", "=5", "", "--steps"])
def test_an_argument_without_key_or_value_says_how_to_write_one(file: Path, argument: str) -> None:
    assert "write dotted.key=value" in _refusal(file, argument)


@pytest.mark.parametrize(
    "argument", ["train.steps=[1", "model.path=\t: x", "prompt.template={{ question }} Go."]
)
def test_an_argument_that_is_no_yaml(file: Path, argument: str) -> None:
    assert "not valid YAML" in _refusal(file, argument)


@pytest.mark.parametrize("argument", ["train..steps=5", ".=1", "a.b.c.d=1", "train.steps.more=1"])
def test_an_argument_of_an_odd_key_is_a_refusal(file: Path, argument: str) -> None:
    _refusal(file, argument)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no sections"),
        (b"- a\n- b\n", "holds no sections"),
        (b"just text", "holds no sections"),
        (b"model: [", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        (b"a: &a [*a", "not valid YAML"),
        (b"1: 2\n", "model is missing"),
        (b"[" * 5000, "not valid YAML"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    refusal = _refusal(file)
    assert message in refusal
    assert "bad.yaml" in refusal


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in _refusal(tmp_path / "absent.yaml")
    assert "cannot be read" in _refusal(tmp_path)


# --- written out and read again ---------------------------------------------------------------------------


TEXT = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.just("\n")


@settings(max_examples=40, deadline=None)
@given(
    lr=st.floats(1e-9, 1.0),
    top_p=st.floats(1e-6, 1.0),
    dual_clip=st.none() | st.floats(1.0, 10.0, exclude_min=True),
    template=st.none() | st.text(TEXT, min_size=1, max_size=30),
    algorithm=st.sampled_from(["uec", "grpo"]),
)
def test_a_dumped_config_loads_equal(
    tmp_path_factory: pytest.TempPathFactory, lr: float, top_p: float, dual_clip: float | None,
    template: str | None, algorithm: str,
) -> None:  # fmt: skip
    tree = {
        **LEAST,
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


def test_small_numbers_survive_as_numbers(file: Path, tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-06 as text; a dump must not write that."""
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
def test_a_deepspeed_file_is_stage_three_and_leaves_our_settings_to_us(recipe: Path) -> None:
    assert json.loads(recipe.read_text())["zero_optimization"]["stage"] == 3
    merged = read_deepspeed_config(str(recipe), "bf16", OptimConfig())
    assert merged["gradient_clipping"] == 1.0
    assert merged["bf16"] == {"enabled": True}


def test_there_are_recipes() -> None:
    assert {"zero3.json", "zero3_offload.json", "tiny_cpu.yaml"} <= {
        path.name for path in ROOT.glob("configs/*")
    }
