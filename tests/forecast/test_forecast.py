from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from transformers import Qwen2_5_VLForConditionalGeneration

from benchmarks.lib.launching import ROOT
from data_prep.writer import write_dataset
from tests.support.launch import BUNDLED_MODEL, synthetic_data
from vlm_uec.config import Config, load_config
from vlm_uec.errors import UserError
from vlm_uec.forecast.data import data_forecast
from vlm_uec.forecast.memory import RankMemory, checkpoint_bytes, rank_memory
from vlm_uec.forecast.report import forecast
from vlm_uec.forecast.shape import ModelShape, model_shape
from vlm_uec.forecast.tokens import PromptLengths, step_tokens
from vlm_uec.forecast.trained import adapter_weights, trained_weights
from vlm_uec.model import load
from vlm_uec.model.adapters import add_adapters
from vlm_uec.types import Problem

RECIPE = ROOT / "configs" / "tiny_cpu.yaml"
SHAPE = ModelShape(
    weights=1000,
    tower_weights=200,
    projector_weights=50,
    hidden=8,
    intermediate=20,
    layers=3,
    key_values=4,
    vocabulary=50,
    max_positions=100,
    tower_hidden=6,
    tower_intermediate=10,
    tower_layers=2,
)
SMALL = (
    "rollout.prompts=4",
    "rollout.n=2",
    "rollout.max_tokens=10",
    "rollout.slots=8",
    "exploration.n=3",
    "optim.minibatch=2",
    "stabilizer.min_advantage=0.5",
)


def _config(*overrides: str) -> Config:
    paths = (f"model.path={BUNDLED_MODEL}", f"data.path={synthetic_data()}", "train.run_dir=/tmp/none")
    return load_config(RECIPE, [*paths, *overrides])


# --- the model --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "weights"),
    [("3B", 3_754_622_976), ("7B", 8_292_166_656), ("32B", 33_452_718_336), ("72B", 73_410_777_344)],
)
def test_published_models_have_the_number_of_weights_on_the_hub(size: str, weights: int) -> None:
    shape = model_shape(f"Qwen/Qwen2.5-VL-{size}-Instruct")
    assert shape is not None
    assert shape.weights == weights


@pytest.mark.parametrize("name", ["Qwen2.5-7B", "Qwen2.5-7B-Instruct", "Qwen2.5-Math-7B"])
def test_published_text_models_have_the_number_of_weights_on_the_hub(name: str) -> None:
    """7,615,616,512 on the Hub: the VL model's weights without the 676,550,144 of its tower."""
    shape = model_shape(f"Qwen/{name}")
    assert shape is not None
    assert (shape.weights, shape.tower_weights) == (8_292_166_656 - 676_550_144, 0)


def test_the_shape_of_a_model_directory() -> None:
    config = json.loads((BUNDLED_MODEL / "config.json").read_text())
    shape = model_shape(str(BUNDLED_MODEL))
    assert shape is not None
    assert shape.layers == config["text_config"]["num_hidden_layers"]
    assert shape.tower_hidden == config["vision_config"]["hidden_size"]
    assert shape.tower_weights < shape.weights


# --- tokens -----------------------------------------------------------------------------------------------


def test_token_counts_of_a_step() -> None:
    """4 prompts of 20 tokens, 2 responses of 10 each, whose last token is not an input: a group is a row of
    20 + 2 x 9 = 38 positions. 80 positions hold two rows, which is a mini-batch."""
    config = _config(*SMALL, "optim.microbatch_tokens=80")
    tokens = step_tokens(config, PromptLengths(20, 25), ranks=1)
    assert (tokens.sampled, tokens.explored, tokens.decoded) == (8, 12, 80)
    assert (tokens.grouped_positions, tokens.ungrouped_positions) == (4 * 20 + 8 * 9, 8 * 29)
    assert (tokens.optimizer_steps, tokens.passes) == (2, 2)
    assert (tokens.pass_positions, tokens.pass_prompts) == (76, 2)
    assert tokens.replayed == 16  # capacity 2.0


def test_a_budget_for_one_row_needs_one_pass_per_prompt() -> None:
    config = _config(*SMALL, "optim.microbatch_tokens=50")
    lengths = PromptLengths(20, 25)
    assert [step_tokens(config, lengths, ranks).passes for ranks in (1, 2)] == [4, 2]
    assert step_tokens(config, lengths, 1).pass_positions == 38


def test_disabled_features_are_not_counted() -> None:
    tokens = step_tokens(_config(*SMALL, "algorithm=grpo"), PromptLengths(20, 25), ranks=1)
    assert (tokens.explored, tokens.replayed) == (0, 0)


# --- memory -----------------------------------------------------------------------------------------------


def _memory(*overrides: str, ranks: int = 2, zero: dict[str, Any] | None = None) -> RankMemory:
    config = _config(*SMALL, "optim.microbatch_tokens=80", "model.freeze_vision=false", *overrides)
    lengths = PromptLengths(20, 25)
    tokens = step_tokens(config, lengths, ranks)
    return rank_memory(config, zero or {"stage": 3}, SHAPE, lengths, tokens, ranks)


def test_shards_in_fp32() -> None:
    """1000 weights over 2 ranks: 4 bytes each, also for the reference; 12 for fp32 weights and two moments, 4
    for gradients. A rollout gathers all 1000."""
    memory = _memory()
    assert (memory.weights, memory.reference, memory.optimizer, memory.gradients) == (2000, 2000, 6000, 2000)
    assert memory.gathered == 4000
    assert memory.permanent == 12_000


def test_shards_in_bf16_without_kl_and_with_a_frozen_tower() -> None:
    """2 bytes per weight; 800 of 1000 are trained."""
    memory = _memory("model.precision=bf16", "loss.kl_coef=0", "model.freeze_vision=true", ranks=4)
    assert (memory.weights, memory.reference, memory.optimizer, memory.gradients) == (500, 0, 2400, 800)


def test_projector_and_tower_are_frozen_independently() -> None:
    """1000 - (200 - 50) and 1000 - 50."""
    tower = _config(*SMALL, "model.freeze_vision=true", "model.freeze_projector=false")
    projector = _config(*SMALL, "model.freeze_vision=false", "model.freeze_projector=true")
    assert (trained_weights(tower, SHAPE), trained_weights(projector, SHAPE)) == (850, 950)


@pytest.mark.parametrize(
    "settings", [["lora.rank=3"], ["lora.rank=8", "lora.targets=[k_proj, down_proj]"], ["lora.vision=true"]]
)
def test_the_number_of_adapter_weights_equals_pefts(settings: list[str]) -> None:
    config = _config("model.freeze_vision=false", "lora.rank=2", *settings)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(BUNDLED_MODEL)
    add_adapters(model, config.lora, "base", seed=1)
    added = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    shape = model_shape(str(BUNDLED_MODEL))
    assert shape is not None
    assert trained_weights(config, shape) == adapter_weights(config, shape) == added


def test_adapters_need_no_reference_copy_and_few_optimizer_states() -> None:
    """q: 3 layers x (8 + 8) = 48 weights per LoRA rank, 96 of 1096 in all; the tower has no activations."""
    memory = _memory("lora.rank=2", "lora.targets=[q_proj]", ranks=1)
    assert (memory.weights, memory.reference) == (4 * 1096, 0)
    assert (memory.optimizer, memory.gradients) == (12 * 96, 4 * 96)
    assert memory.head == 4 * 3 * 76 * 50, "the head has no gradient"
    assert memory.activations == 4 * 76 * 3 * 180
    config = _config(*SMALL, "lora.rank=2", "lora.targets=[q_proj]")
    assert checkpoint_bytes(config, SHAPE) == 96 * 12 + 1000 * 4


def test_memory_of_keys_and_values() -> None:
    """8 slots of 10 positions and 8 prefix groups of 25 (one per slot); 2 x 3 layers x 4 floats."""
    assert _memory().cache == (8 * 10 + 8 * 25) * 2 * 3 * 4 * 4


def test_a_gpus_cache_uses_the_remaining_memory() -> None:
    assert _memory("model.precision=bf16", "rollout.slots=null").cache == 0


def test_vllms_cache_is_not_counted() -> None:
    settings = ("rollout.engine=vllm", "vllm.python=python")
    assert _memory(*settings).cache == 0
    assert "in vLLM's process" in forecast(_config(*settings))


def test_offloaded_states_use_host_memory() -> None:
    """6000 bytes of states and 2000 of gradients, which DeepSpeed then stores twice."""
    memory = _memory(zero={"stage": 3, "offload_optimizer": {"device": "cpu"}})
    assert (memory.optimizer, memory.gradients, memory.host) == (0, 0, 10_000)
    both = {"stage": 3, "offload_optimizer": {"device": "cpu"}, "offload_param": {"device": "cpu"}}
    memory = _memory(zero=both)
    assert (memory.permanent, memory.host) == (0, 14_000)


def test_one_rank_gathers_no_weights() -> None:
    """Two buckets of 1000 weights; weights are gathered only if they are in host memory."""
    memory = _memory(ranks=1)
    assert (memory.gathered, memory.live) == (0, 2 * 4000)
    memory = _memory(ranks=1, zero={"stage": 3, "offload_param": {"device": "cpu"}})
    assert (memory.gathered, memory.live) == (4000, 3 * 4000)


def test_offload_states_moves_the_moments_to_the_host_during_a_rollout() -> None:
    """8 bytes for each of 500 weights per rank; no effect if the optimizer is offloaded."""
    plain, offloaded = _memory(), _memory("rollout.offload_states=true")
    assert plain.rollout - offloaded.rollout == offloaded.host == 4000
    assert plain.update == offloaded.update
    zero = {"stage": 3, "offload_optimizer": {"device": "cpu"}}
    assert _memory("rollout.offload_states=true", zero=zero) == _memory(zero=zero)


def test_memory_of_activations() -> None:
    """76 positions: text 3 x 8 floats and one layer of 8 x 8 + 4 x 4 + 5 x 20 = 180; 2 prompts x 20 tokens x
    4 patches: tower 2 x 6 floats and one layer of 8 x 6 + 5 x 10 = 98."""
    memory = _memory("model.activation_checkpointing=true", ranks=1)
    assert memory.activations == 4 * (76 * (24 + 180) + 160 * (12 + 98))
    memory = _memory("model.activation_checkpointing=false", ranks=1)
    assert memory.activations == 4 * (76 * 3 * 180 + 160 * 2 * 98)


def test_memory_of_the_head() -> None:
    """76 positions x 50 ids, three times in fp32, and a gradient of 50 x 8; with bf16 once more in bf16."""
    assert _memory(ranks=1).head == 4 * (3 * 76 * 50 + 50 * 8)
    assert _memory("model.precision=bf16", ranks=1).head == 4 * (3 * 76 * 50 + 50 * 8) + 2 * 76 * 50


def test_validation_needs_one_prefix_group_per_response() -> None:
    """64 slots: 32 prefix groups for groups of 8, and 64 for groups of 1."""
    sizes = ("rollout.n=8", "rollout.slots=64", "evaluation.n=1")
    position = 2 * 3 * 4 * 4
    assert _memory(*sizes, "train.eval_every=0").cache == (64 * 10 + 32 * 25) * position
    assert _memory(*sizes, "train.eval_every=5").cache == (64 * 10 + 64 * 25) * position


def test_the_peak_is_the_larger_of_rollout_and_update() -> None:
    """Permanent 12,000; rollout: weights 4000, cache 26,880; update: live weights 4000, two buckets of it."""
    memory = _memory()
    assert memory.rollout == 12_000 + 4000 + 26_880
    assert memory.update == 12_000 + 12_000 + memory.activations + memory.head
    assert memory.peak == memory.update


def test_the_size_of_a_checkpoint() -> None:
    """12 bytes per trained weight; frozen weights in the model's precision."""
    assert checkpoint_bytes(_config("model.freeze_vision=false"), SHAPE) == 12_000
    assert checkpoint_bytes(_config("model.freeze_vision=true"), SHAPE) == 800 * 12 + 200 * 4


# --- the text ---------------------------------------------------------------------------------------------


def test_prompt_lengths_of_a_mixture_are_weighted(tmp_path: Path) -> None:
    """40 short prompts and 4 long ones, each half of a step: the mean is in the middle."""
    lengths = {}
    settings = ("data.path=null", "train.eval_every=0", *SMALL)
    for name, count, words in (("short", 40, 1), ("long", 4, 60)):
        problems = [Problem(f"{n}", "x " * words, "1") for n in range(count)]
        write_dataset(tmp_path / name, {"train": problems}, {})
        alone = data_forecast(_config(*settings, f"data.path={tmp_path}/{name}"))
        lengths[name] = alone.lengths.mean
    mixture = f"{{{tmp_path}/short: 1, {tmp_path}/long: 1}}"
    mixed = data_forecast(_config(*settings, f"data.mixture={mixture}"))
    assert mixed.lengths.mean == (lengths["short"] + lengths["long"]) / 2
    assert mixed.lengths.measured == 44


def test_a_large_minibatch_is_planned_in_part() -> None:
    """30,000 rows of 38 positions, two per pass: 15,000 passes, extrapolated from the first 10,000."""
    sizes = ("rollout.prompts=30000", "optim.minibatch=30000", "optim.microbatch_tokens=80")
    assert step_tokens(_config(*SMALL, *sizes), PromptLengths(20, 25), ranks=1).passes == 15_000


def test_a_hub_model_that_is_not_on_this_machine_has_no_memory_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    text = forecast(_config("model.path=owner/some-qwen"))
    assert "Memory: owner/some-qwen is not on this machine" in text
    assert "no tokenizer on this machine" in text


def test_a_cached_model_of_another_type_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    cached = SimpleNamespace(model_type="llama")
    monkeypatch.setattr(load.AutoConfig, "from_pretrained", lambda _: cached)
    with pytest.raises(UserError, match="owner/some-llama: a llama model"):
        model_shape("owner/some-llama")


def test_a_custom_reward_function_is_tested(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def score(response, problem):\n    return 2\n")
    with pytest.raises(UserError, match=": returned 2; return a number from 0 to 1"):
        forecast(_config(f"reward.function={tmp_path}/mine.py:score"))


def test_the_forecast_reports_the_measured_prompts() -> None:
    text = forecast(_config())
    assert all(line.startswith("#") for line in text.splitlines())
    assert "24 problems, 16 per step; steps per epoch: 1, epochs: 60.0" in text
    assert "(24 measured); limit 128" in text
    assert "On disk:" in text


@pytest.mark.parametrize("recipe", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_has_a_forecast_without_data_or_network(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = forecast(load_config(recipe, ["data.path=no/such/data"]))
    assert "no/such/data is not on this machine" in text
    assert "Memory per rank" in text


def test_the_parts_of_a_mixture_are_listed() -> None:
    data = synthetic_data()
    mixture = f"{{{data}: 3, {data}/: 1}}"
    text = forecast(_config("data.path=null", f"data.mixture={mixture}", f"data.validation_path={data}"))
    assert f"{data}: 24 problems, 12 per step" in text
    assert f"{data}/: 24 problems, 4 per step" in text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rollout.prompts=32", "32, but there are 24 problems"),
        ("data.train_split=practice", "no split 'practice'"),
        ("data.validation_split=practice", "no split 'practice'"),
        ("data.max_prompt_tokens=3", "no usable prompt among 24 measured"),
        ("model.path=/no/model", "model.path /no/model"),
    ],
)
def test_the_forecast_rejects_what_the_run_would_reject(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        forecast(_config(override))


def test_config_and_forecast_together_are_a_config() -> None:
    config = _config()
    text = yaml.safe_dump(config.model_dump()) + forecast(config)
    assert Config.model_validate(yaml.safe_load(text)) == config
