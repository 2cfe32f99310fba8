"""The tiny recipe with every algorithm and with every choice of trained parts, in one launch."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from benchmarks.lib.launching import SHORT
from tests.support.launch import launch, model_copy, synthetic_data, workspace
from tests.support.tiny_text import addition_data, text_model_directory
from vlm_uec.algorithm.objectives import algorithm_names

# Small sizes with which the pending queue fills within two steps; one checkpoint each.
SETTINGS = (
    *SHORT,
    "rollout.prompts=4",
    "rollout.n=6",
    "rollout.max_tokens=8",
    "train.save_every=0",
    "train.steps=2",
)
ALGORITHMS = algorithm_names()
LORA = ("lora.rank=4", "optim.lr=0.01", "model.freeze_vision=false")
TRAINED_PARTS: dict[str, tuple[str, ...]] = {
    "lora": (*LORA, "lora.vision=true"),
    "lora_adapter": (*LORA, "lora.export=adapter"),
    "projector": ("model.freeze_vision=true", "model.freeze_projector=false"),
    "tower": ("model.freeze_vision=false", "model.freeze_projector=true"),
    "all": (),
    # All options of the large recipes together, with an update each step.
    "large": (
        "pending.enabled=false",
        "retention.regular=false",
        "retention.retain=magnitude",
        "stabilizer.retain=magnitude",
        "loss.kl_token_max=10",
        "train.eval_at_start=true",
        "train.eval_every=2",
        "overlong_filter.enabled=true",
        "stabilizer.frequency=1",
        "rollout.top_p=0.99",
        "model.freeze_vision=true",
        "model.precision=bf16",
        "model.activation_checkpointing=true",
        "deepspeed.config=configs/zero3_offload.json",
        "optim.lr=0.01",
    ),
    "offloaded": ("rollout.offload_states=true",),
}


@functools.cache
def variant_runs() -> Path:
    """The folder of the run directories, each named after its algorithm or trained parts."""
    folder = workspace() / "variants"
    paths = (f"model.path={model_copy()}", f"data.path={synthetic_data()}")
    algorithms: dict[str, tuple[str, ...]] = {
        name: (f"algorithm={name}", "model.freeze_vision=true") for name in ALGORITHMS
    }
    algorithms["uec"] += ("train.measure_entropy=true",)
    text = (f"model.path={text_model_directory()}", f"data.path={addition_data()}", "pending.enabled=false")
    runs = {
        name: [*SETTINGS, *paths, *settings, f"train.run_dir={folder / name}"]
        for name, settings in (algorithms | TRAINED_PARTS | {"text": text}).items()
    }
    listed = workspace() / "variants.json"
    listed.write_text(json.dumps(runs), encoding="utf-8")
    launch("tests/support/many_runs.py", str(listed))
    return folder
