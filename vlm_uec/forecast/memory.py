"""Estimates a rank's memory by counting bytes: permanent memory, and that of a rollout and an update.

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
from vlm_uec.model.head import CHUNK_ELEMENTS, GPU_CHUNK_ELEMENTS
from vlm_uec.model.load import DTYPES, frozen_parts
from vlm_uec.rollout.cache import PoolSize
from vlm_uec.rollout.slots import CPU_SLOTS, prefix_group_count
from vlm_uec.zero.config import offloads

_FLOAT = 4
# Tensors that a layer stores for its backward pass, in units of a position's hidden state, of its keys and
# values, and of the MLP's width: norms, projections, attention output, gate, up, and their product.
_LAYER_HIDDEN, _LAYER_KEYS, _LAYER_MLP = 8, 4, 5
_CHUNKS = 3  # logits, their softmax and its gradient
# DeepSpeed's defaults for settings that the JSON does not have.
_DEFAULT_LIVE, _DEFAULT_BUCKET = 1e9, 5e8


@dataclass(frozen=True)
class RankMemory:
    """Bytes of one rank on its device; `host` in main memory."""

    weights: float  # shard of the policy
    reference: float  # shard of the frozen policy; 0 without KL
    optimizer: float  # fp32 weights and two moments
    gradients: float
    gathered: float  # all weights, during a rollout
    cache: float  # keys and values; 0 if they use the remaining memory
    live: float  # weights of the layers in use, gathered during an update
    activations: float
    head: float
    host: float
    offloaded: float  # part of the optimizer states in host memory during a rollout

    @property
    def permanent(self) -> float:
        return self.weights + self.reference + self.optimizer + self.gradients

    @property
    def rollout(self) -> float:
        return self.permanent - self.offloaded + self.gathered + self.cache

    @property
    def update(self) -> float:
        return self.permanent + self.live + self.activations + self.head

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
    """`zero`: the zero_optimization section of the DeepSpeed JSON."""
    size = DTYPES[config.model.precision].itemsize
    trained, weights = trained_weights(config, shape), shape.weights + adapter_weights(config, shape)
    shard = size * weights / ranks
    optimizer, gradients = 3 * _FLOAT * trained / ranks, _FLOAT * trained / ranks
    # The head's gradient in fp32. With adapters the head has no gradient.
    products = 1 if config.lora.rank is None else 0
    # bf16 is slow on CPUs, so a bf16 config is assumed to run on an accelerator.
    elements = GPU_CHUNK_ELEMENTS if config.model.precision == "bf16" else CHUNK_ELEMENTS
    chunk = min(elements, tokens.pass_positions * shape.vocabulary)
    rounded = (
        size * chunk if config.model.precision == "bf16" else 0
    )  # the gradient's factor for the products
    # With adapters the reference policy is the policy with its adapters disabled.
    reference = shard if config.loss.kl_coef and config.lora.rank is None else 0.0
    host = offloaded = 2 * _FLOAT * trained / ranks if config.rollout.offload_states else 0.0
    if offloads(zero, "offload_optimizer"):
        # With offloading DeepSpeed stores gradients twice: the accumulated ones and the optimizer's copy.
        host, offloaded = optimizer + 2 * gradients, 0.0
        optimizer = gradients = 0.0
    # With one rank the shard is the whole model and needs no gathering.
    gathers = ranks > 1 or offloads(zero, "offload_param")
    if offloads(zero, "offload_param"):
        host, shard, reference = host + shard + reference, 0.0, 0.0
    live = min(shape.weights, _setting(zero, "stage3_max_live_parameters", _DEFAULT_LIVE)) if gathers else 0.0
    buckets = 2 * min(shape.weights, _setting(zero, "reduce_bucket_size", _DEFAULT_BUCKET))
    return RankMemory(
        weights=shard,
        reference=reference,
        optimizer=optimizer,
        gradients=gradients,
        gathered=size * weights if gathers else 0.0,
        cache=_cache(config, shape, prompt),
        live=size * (live + buckets),
        activations=size * _activations(config, shape, prompt, tokens),
        head=_FLOAT * (_CHUNKS * chunk + products * shape.vocabulary * shape.hidden) + rounded,
        host=host,
        offloaded=offloaded,
    )


def _cache(config: Config, shape: ModelShape, prompt: PromptLengths) -> float:
    if config.rollout.engine == "vllm":
        return 0.0
    slots = config.rollout.slots
    if slots is None and config.model.precision == "bf16":
        return 0.0
    slots = slots or CPU_SLOTS
    # Groups of one response, as in validation, need one prefix group each.
    group = min(config.rollout.n, config.evaluation.n) if config.train.eval_every else config.rollout.n
    pool = PoolSize(slots, prefix_group_count(slots, group), prompt.longest, config.rollout.max_tokens)
    return float(pool.positions * cache_bytes(config, shape))


def cache_bytes(config: Config, shape: ModelShape) -> int:
    """Keys and values of one position, in every layer."""
    return 2 * DTYPES[config.model.precision].itemsize * shape.layers * shape.key_values


def checkpoint_bytes(config: Config, shape: ModelShape) -> float:
    """ZeRO state of all ranks: fp32 weights and two moments of trained weights, and the frozen weights."""
    trained, weights = trained_weights(config, shape), shape.weights + adapter_weights(config, shape)
    return 3.0 * _FLOAT * trained + DTYPES[config.model.precision].itemsize * (weights - trained)


def _activations(config: Config, shape: ModelShape, prompt: PromptLengths, tokens: StepTokens) -> float:
    """Floats that the largest micro-batch stores for its backward pass."""
    layer = _LAYER_HIDDEN * shape.hidden + _LAYER_KEYS * shape.key_values + _LAYER_MLP * shape.intermediate
    text = tokens.pass_positions * _stored_floats(config, shape.layers, shape.hidden, layer)
    if frozen_parts(config).tower:
        return text
    # Most prompt tokens are image tokens, and an image token is four patches.
    patches = 4 * prompt.mean * tokens.pass_prompts
    layer = _LAYER_HIDDEN * shape.tower_hidden + _LAYER_MLP * shape.tower_intermediate
    return text + patches * _stored_floats(config, shape.tower_layers, shape.tower_hidden, layer)


def _stored_floats(config: Config, layers: int, hidden: int, layer: int) -> int:
    """Floats per position: with checkpointing every layer's input and one full layer, else all layers."""
    return layers * hidden + layer if config.model.activation_checkpointing else layers * layer


def _setting(zero: Mapping[str, Any], key: str, default: float) -> float:
    value = zero.get(key, default)
    return float(value) if isinstance(value, int | float) else default
