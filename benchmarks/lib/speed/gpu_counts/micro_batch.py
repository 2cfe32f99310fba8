"""Host time and host synchronisations of a micro-batch under ZeRO-3, at the depth of the 3B model.

The model has hardly any arithmetic, so its time on a CPU is the time that a GPU would wait for the host.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import deepspeed.runtime.zero.partition_parameters as gathers
import torch

from benchmarks.lib.launching import ROOT, TINY_CONFIG, free_port
from benchmarks.lib.speed.gpu_counts.rows import CountRow
from benchmarks.lib.speed.workers import make_model
from vlm_uec.config import Config, load_config
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.positions import mrope_positions
from vlm_uec.model.packing import PackedBatch, Row, pack
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.types import EncodedPrompt
from vlm_uec.zero.build import build_policy
from vlm_uec.zero.engine import ZeroPolicy, start_distributed

LAYER_RATIO = 57_600 / 77_000_000  # weights of a text layer: this model's and the 3B's
WARM_UP, REPEATS = 3, 5
SIDE = 6  # patches of a picture's side: 84 pixels


def rows() -> list[CountRow]:
    with TemporaryDirectory() as directory:
        policy, batch = _thin_policy(Path(directory))
        for _ in range(WARM_UP):  # ZeRO-3 records the order of the modules, then prefetches by it
            _micro_batch(policy, batch)
            policy.step()
        with _count_syncs() as syncs:
            seconds = [_micro_batch(policy, batch) for _ in range(REPEATS)]
    return [
        # The fastest: other processes only make it slower.
        CountRow("micro-batch: host time under ZeRO-3", min(seconds), "s", 1.0),
        CountRow("micro-batch: host synchronisations under ZeRO-3", syncs.total() / REPEATS, "", 130),
    ]


def _micro_batch(policy: ZeroPolicy, batch: PackedBatch) -> float:
    """CPU seconds of one forward and backward pass."""
    start = time.process_time()
    logprobs, entropy = policy.forward(batch)
    policy.backward(logprobs.mean() + 0.1 * entropy.mean())
    return time.process_time() - start


def _thin_policy(directory: Path) -> tuple[ZeroPolicy, PackedBatch]:
    """One rank's policy, and a row of a prompt with a picture and two responses."""
    torch.set_num_threads(1)
    make_model("thin", directory / "model")
    settings = directory / "zero3.json"
    settings.write_text(json.dumps(_scaled_zero_settings()), encoding="utf-8")
    config = load_config(
        TINY_CONFIG,
        [
            f"model.path={directory / 'model'}",
            "model.freeze_vision=false",
            "model.activation_checkpointing=true",
            f"deepspeed.config={settings}",
        ],
    )
    if not torch.distributed.is_initialized():
        os.environ.setdefault("MASTER_PORT", str(free_port()))
        start_distributed(rendezvous())
    tokenizer = PromptEncoder.from_config(config).tokenizer
    return build_policy(config, tokenizer), _batch(config)


def _scaled_zero_settings() -> dict[str, Any]:
    """configs/zero3.json with its numbers of weights in proportion to the model's."""
    settings: dict[str, Any] = json.loads((ROOT / "configs" / "zero3.json").read_text(encoding="utf-8"))
    zero = settings["zero_optimization"]
    for key, value in zero.items():
        if type(value) is int and key != "stage":
            zero[key] = round(value * LAYER_RATIO)
    zero["stage3_param_persistence_threshold"] = 200  # norms and biases, as in the 3B model
    return settings


def _batch(config: Config) -> PackedBatch:
    from transformers import AutoConfig

    image_pad = AutoConfig.from_pretrained(config.model.path).image_token_id
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(3, 300, (8,), generator=generator)
    ids = torch.cat([words, torch.full((SIDE * SIDE // 4,), image_pad), words])
    grid = torch.tensor([[1, SIDE, SIDE]])
    pixels = torch.randn(SIDE * SIDE, 1176, generator=generator)
    prompt = EncodedPrompt("", ids, pixels, grid, mrope_positions(ids, grid, image_pad, 2))
    return pack([Row(prompt, (words, words.flip(0)))])


@contextmanager
def _count_syncs() -> Iterator[Counter[str]]:
    """Counts the calls with which ZeRO-3 on one GPU makes the host wait for the stream."""
    counts: Counter[str] = Counter()
    handles = (gathers.NoGatherHandle, gathers.NoGatherCoalescedHandle)
    originals = [handle.wait for handle in handles]

    def counted(handle: Any, original: Any) -> Any:
        def wait(self: Any, **options: Any) -> None:
            if not getattr(self, f"_{handle.__name__}__complete"):
                counts[handle.__name__] += 1
            original(self, **options)

        return wait

    for handle, original in zip(handles, originals, strict=True):
        handle.wait = counted(handle, original)
    try:
        yield counts
    finally:
        for handle, original in zip(handles, originals, strict=True):
            handle.wait = original
