"""Estimates a rank's memory by counting bytes: the permanent part, and what a rollout and an update add.

Not included: memory of libraries (CUDA context, communication buffers), and allocator fragmentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlm_uec.config import Config
from vlm_uec.forecast.shape import ModelShape
from vlm_uec.forecast.tokens import PromptLengths, StepTokens
from vlm_uec.forecast.trained import adapter_weights, trained_weights
from vlm_uec.model.head import CHUNK_ELEMENTS
from vlm_uec.model.load import DTYPES, frozen_parts
from vlm_uec.rollout.cache import PoolSize
from vlm_uec.rollout.slots import CPU_SLOTS, prefix_group_count
from vlm_uec.zero.config import offloads

_FLOAT = 4
# Tensors of a layer that its backward needs, in units of a position's hidden state, of its keys and
# values, and of the MLP's width: norms, projections, attention's output, gate, up, their product.
_LAYER_HIDDEN, _LAYER_KEYS, _LAYER_MLP = 8, 4, 5
_CHUNKS = 3  # of logits, their softmax and its gradient
# DeepSpeed's defaults, where the JSON leaves them out.
_LIVE, _BUCKET = 1e9, 5e8


@dataclass(frozen=True)
class RankMemory:
    """Bytes on one rank's device; `host` in main memory beside it."""

    weights: float  # shard of the policy
    reference: float  # shard of the frozen policy; 0 without KL
    optimizer: float  # fp32 weights and two moments
    gradients: float
    gathered: float  # whole weights, for the length of a rollout
    cache: float  # keys and values; 0 where they take what is left
    live: float  # weights gathered around the layer at work
    activations: float
    head: float
    host: float
    parked: float  # of the optimizer's, in host memory during a rollout

    @property
    def lasting(self) -> float:
        return self.weights + self.reference + self.optimizer + self.gradients

    @property
    def rollout(self) -> float:
        return self.lasting - self.parked + self.gathered + self.cache

    @property
    def update(self) -> float:
        return self.lasting + self.live + self.activations + self.head

    @property
    def peak(self) -> float:
        return max(self.rollout, self.update)


def rank_memory(
    config: Config,
    zero: Mapping[str, Any],
    shape: ModelShape,
    prompt: PromptLengths,
    tokens: StepTokens,
    ranks: int,
) -> RankMemory:
    """`zero`: the section zero_optimization of the DeepSpeed JSON."""
    size = DTYPES[config.model.precision].itemsize
    trained, weights = trained_weights(config, shape), shape.weights + adapter_weights(config, shape)
    shard = size * weights / ranks
    optimizer, gradients = 3 * _FLOAT * trained / ranks, _FLOAT * trained / ranks
    # The head's gradient in fp32; products of bf16 factors come in a tensor of their own. With
    # adapters it has none.
    products = (2 if config.model.precision == "bf16" else 1) if config.lora.rank is None else 0
    chunk = min(CHUNK_ELEMENTS, tokens.pass_positions * shape.vocabulary)
    # With adapters the reference is the policy without them.
    reference = shard if config.loss.kl_coef and config.lora.rank is None else 0.0
    host = parked = 2 * _FLOAT * trained / ranks if config.rollout.offload_states else 0.0
    if offloads(zero, "offload_optimizer"):
        # With offloading DeepSpeed keeps gradients twice: the accumulated ones and the optimizer's copy.
        host, parked = optimizer + 2 * gradients, 0.0
        optimizer = gradients = 0.0
    # With one rank the shard is the whole model and needs no gathering.
    gathers = ranks > 1 or offloads(zero, "offload_param")
    if offloads(zero, "offload_param"):
        host, shard, reference = host + shard + reference, 0.0, 0.0
    live = min(shape.weights, _number(zero, "stage3_max_live_parameters", _LIVE)) if gathers else 0.0
    buckets = 2 * min(shape.weights, _number(zero, "reduce_bucket_size", _BUCKET))
    return RankMemory(
        weights=shard,
        reference=reference,
        optimizer=optimizer,
        gradients=gradients,
        gathered=size * weights if gathers else 0.0,
        cache=_cache(config, shape, prompt),
        live=size * (live + buckets),
        activations=size * _activations(config, shape, prompt, tokens),
        head=_FLOAT * (_CHUNKS * chunk + products * shape.vocabulary * shape.hidden),
        host=host,
        parked=parked,
    )


def _cache(config: Config, shape: ModelShape, prompt: PromptLengths) -> float:
    if config.rollout.engine == "vllm":
        return 0.0
    slots = config.rollout.slots
    # bf16 is slow on CPUs, so such a config is for an accelerator.
    if slots is None and config.model.precision == "bf16":
        return 0.0
    slots = slots or CPU_SLOTS
    # Groups of one response, as in validation, take a prefix group each.
    group = min(config.rollout.n, config.evaluation.n) if config.train.eval_every else config.rollout.n
    pool = PoolSize(slots, prefix_group_count(slots, group), prompt.longest, config.rollout.max_tokens)
    return float(pool.positions * cache_bytes(config, shape))


def cache_bytes(config: Config, shape: ModelShape) -> int:
    """Keys and values of one position, in every layer."""
    return 2 * DTYPES[config.model.precision].itemsize * shape.layers * shape.key_values


def checkpoint_bytes(config: Config, shape: ModelShape) -> float:
    """ZeRO state of all ranks: fp32 weights and two moments of what is trained, and the rest's weights."""
    trained, weights = trained_weights(config, shape), shape.weights + adapter_weights(config, shape)
    return 3.0 * _FLOAT * trained + DTYPES[config.model.precision].itemsize * (weights - trained)


def _activations(config: Config, shape: ModelShape, prompt: PromptLengths, tokens: StepTokens) -> float:
    """Floats kept for backward by the fullest pass."""
    layer = _LAYER_HIDDEN * shape.hidden + _LAYER_KEYS * shape.key_values + _LAYER_MLP * shape.intermediate
    text = tokens.pass_positions * _kept(config, shape.layers, shape.hidden, layer)
    if frozen_parts(config).tower:
        return text
    # Most prompt tokens are image tokens, and an image token is four patches.
    patches = 4 * prompt.mean * tokens.pass_prompts
    layer = _LAYER_HIDDEN * shape.tower_hidden + _LAYER_MLP * shape.tower_intermediate
    return text + patches * _kept(config, shape.tower_layers, shape.tower_hidden, layer)


def _kept(config: Config, layers: int, hidden: int, layer: int) -> int:
    """Floats a position: every layer's input and one layer in full, or all of them in full."""
    return layers * hidden + layer if config.model.activation_checkpointing else layers * layer


def _number(zero: Mapping[str, Any], key: str, default: float) -> float:
    value = zero.get(key, default)
    return float(value) if isinstance(value, int | float) else default
