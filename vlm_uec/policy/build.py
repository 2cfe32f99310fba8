"""From config to sharded policies."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from vlm_uec.config import Config, ModelConfig
from vlm_uec.policy.deepspeed_config import read_deepspeed_config
from vlm_uec.policy.forward import Frozen, Policy
from vlm_uec.policy.load import banned_ids, load_model
from vlm_uec.policy.zero import ZeroPolicy, ZeroReference, hold_zero_init


def build_policy(config: Config, tokenizer: PreTrainedTokenizerBase) -> ZeroPolicy:
    """The policy that is trained, loaded straight into ZeRO-3 shards."""
    settings = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    policy = _load(config, settings, tokenizer, checkpointing=config.model.activation_checkpointing)
    return ZeroPolicy(policy, settings, config.optim)


def build_reference(config: Config, tokenizer: PreTrainedTokenizerBase) -> ZeroReference | None:
    """The frozen starting policy for the KL term; none where `loss.kl_coef` is 0."""
    if config.loss.kl_coef == 0:
        return None
    settings = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    # A frozen policy has no optimizer to offload.
    settings["zero_optimization"] = {
        key: value for key, value in settings["zero_optimization"].items() if key != "offload_optimizer"
    }
    return ZeroReference(_load(config, settings, tokenizer, checkpointing=False), settings)


def _load(
    config: Config, settings: dict[str, object], tokenizer: PreTrainedTokenizerBase, *, checkpointing: bool
) -> Policy:
    holder = hold_zero_init(settings)  # from_pretrained shards while this is alive
    model = load_model(config.model.path, config.model.precision, checkpointing=checkpointing)
    del holder
    banned = banned_ids(model.model.language_model.vocab_size, tokenizer)
    return Policy(model, banned, frozen_parts(config.model))


def frozen_parts(model: ModelConfig) -> Frozen:
    projector = model.freeze_vision if model.freeze_projector is None else model.freeze_projector
    return Frozen(tower=model.freeze_vision, projector=projector)
