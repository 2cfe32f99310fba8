"""Rows of the table of counts for the rollout: operations of a decode step, keys that it reads, graphs."""

from __future__ import annotations

from transformers import Qwen2_5_VLConfig

from benchmarks.lib.speed.architectures import ARCHITECTURES
from benchmarks.lib.speed.gpu_counts.decode_operations import decode_operations
from benchmarks.lib.speed.gpu_counts.pool_replay import PoolReplay, ReplayShape
from benchmarks.lib.speed.gpu_counts.rows import CountRow
from vlm_uec.rollout.cache import PoolSize
from vlm_uec.rollout.slots import prefix_group_count

ONE_GPU = ReplayShape(prompts=512, group=5, slots=256, width=2048, mean=450)
ONE_OF_EIGHT = ReplayShape(prompts=64, group=5, slots=184, width=2048, mean=450)


def rows() -> list[CountRow]:
    return [*_operation_rows(), *_replay_rows()]


def _operation_rows() -> list[CountRow]:
    config = text_config("3b")
    size = PoolSize(ONE_GPU.slots, prefix_group_count(ONE_GPU.slots, ONE_GPU.group), 512, ONE_GPU.width)
    plain = decode_operations(config, size, tempered=False, nucleus=False).total()
    every = decode_operations(config, size, tempered=True, nucleus=True).total()
    return [
        CountRow("decode step, 3B: operations", plain, "", None),
        CountRow("decode step, 3B: operations with temperature and top-p", every, "", None),
    ]


def _replay_rows() -> list[CountRow]:
    """The masked form is what fp32 and a torch without the variable-length kernel run."""
    found = []
    for name, shape in (("512 x 5, 256 slots", ONE_GPU), ("64 x 5, 184 slots", ONE_OF_EIGHT)):
        for valid_keys in (True, False):
            counts = PoolReplay(shape, valid_keys=valid_keys).run()
            title = f"rollout of {name}" if valid_keys else f"rollout of {name}, masked form"
            own, prompts = counts.own_read / counts.own_valid, counts.prompt_read / counts.prompt_valid
            found += [
                CountRow(f"{title}: own keys read / valid", own, "", 1.1 if valid_keys else None),
                CountRow(f"{title}: prompt keys read / valid", prompts, "", 1.1 if valid_keys else None),
                CountRow(f"{title}: graphs", len(counts.views), "", 8 if valid_keys else None),
            ]
    return found


def text_config(name: str) -> Qwen2_5_VLConfig:
    """The architecture's sizes; only the text model runs in a decode step."""
    architecture = ARCHITECTURES[name]
    rope = {
        "rope_type": "default",
        "mrope_section": list(architecture.mrope_section),
        "rope_theta": 1_000_000.0,
    }
    return Qwen2_5_VLConfig(
        text_config={**architecture.text, "rope_parameters": rope},
        vision_config={**architecture.vision, "depth": 1},
        tie_word_embeddings=architecture.text["tie_word_embeddings"],
    )
