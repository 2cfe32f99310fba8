"""Builds the sharded policies from the config."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from vlm_uec.config import Config
from vlm_uec.hub import exists_locally
from vlm_uec.model.adapters import add_adapters
from vlm_uec.model.load import banned_ids, frozen_parts, load_model, text_model
from vlm_uec.model.policy import Policy
from vlm_uec.zero.config import read_deepspeed_config
from vlm_uec.zero.engine import BaseReference, ZeroPolicy, ZeroReference, zero_init


def build_policy(config: Config, tokenizer: PreTrainedTokenizerBase) -> ZeroPolicy:
    """The policy that is trained, loaded directly into ZeRO-3 shards."""
    settings = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    policy = _load(config, settings, tokenizer, checkpointing=config.model.activation_checkpointing)
    if config.lora.rank is not None:
        add_adapters(policy.model, config.lora, base_model_name(config.model.path), config.train.seed)
    return ZeroPolicy(policy, settings, config.optim, offload_states=config.rollout.offload_states)


def build_reference(
    config: Config, tokenizer: PreTrainedTokenizerBase, policy: ZeroPolicy
) -> ZeroReference | BaseReference | None:
    """The frozen starting policy for the KL term; None if `loss.kl_coef` is 0.

    With adapters, it is the trained policy without them, which needs no second copy.
    """
    if config.loss.kl_coef == 0:
        return None
    if config.lora.rank is not None:
        return BaseReference(policy)
    settings = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    # A frozen policy has no optimizer to offload.
    settings["zero_optimization"] = {
        key: value for key, value in settings["zero_optimization"].items() if key != "offload_optimizer"
    }
    return ZeroReference(_load(config, settings, tokenizer, checkpointing=False), settings)


def _load(
    config: Config, settings: dict[str, object], tokenizer: PreTrainedTokenizerBase, *, checkpointing: bool
) -> Policy:
    hf_config = zero_init(settings)  # from_pretrained shards while this exists
    model = load_model(config.model.path, config.model.precision, checkpointing=checkpointing)
    del hf_config
    banned = banned_ids(text_model(model).vocab_size, tokenizer)
    return Policy(model, banned, frozen_parts(config))


def base_model_name(path: str) -> str:
    """The model's Hub id, or the absolute path of its directory."""
    return str(Path(path).resolve()) if exists_locally(path) else path
