"""Loads Qwen2.5-VL and Qwen2.5 models: config, weights, token ids and frozen parts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    GenerationConfig,
    PreTrainedTokenizerBase,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2ForCausalLM,
)
from transformers.utils import logging as transformers_logging

from vlm_uec.config import Config
from vlm_uec.config.fields import join_or
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.hub import exists_locally, may_be_hub_id, missing_reason, silence_hub_retries
from vlm_uec.model.norm import replace_norms

VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
# Raised for a missing config, or for JSON that is not a model config.
CONFIG_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
    StrictDataclassError,
)
Model = Qwen2_5_VLForConditionalGeneration | Qwen2ForCausalLM
MODEL_CLASSES: Mapping[str, type[Model]] = {
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen2": Qwen2ForCausalLM,
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class PatchProjection(nn.Conv3d):
    """The tower's patch embedding as a matrix product: a patch has exactly the kernel's size, and a
    convolution takes several times as long, especially in backward."""

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Patches [N, 3, 2, 14, 14] to embeddings [N, H, 1, 1, 1]."""
        return (patches.flatten(1) @ self.weight.flatten(1).t())[..., None, None, None]


def load_model(path: str, precision: str, *, checkpointing: bool) -> Model:
    """The model of a directory or Hub id, in `precision` (fp32 or bf16), ready for training.

    Raises `UserError` if the model is neither Qwen2.5-VL nor Qwen2.5, has an adapter, or a weight is missing
    or has the wrong shape: transformers would initialise it randomly and only warn.
    """
    model_class = MODEL_CLASSES[read_model_config(path).model_type]
    model, info = _load_with_report(path, model_class, DTYPES[precision])
    if getattr(model, "_hf_peft_config_loaded", False):  # of a Hub id, whose files are not on this machine
        raise UserError(_adapter_message(path))
    unusable = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
    if unusable:
        raise UserError(
            f"model.path {path}: {len(unusable)} weights missing or of wrong shape, first {unusable[0]}"
        )
    text, tower = text_model(model), vision_tower(model)
    check_rotary(text.rotary_emb)
    if tower is not None:
        tower.patch_embed.proj.__class__ = PatchProjection
    replace_norms(model, type(text.norm))
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def check_rotary(rotary: Any) -> None:
    """Raises `UserError` if the frequencies of the rotary embedding were rounded while loading.

    Under ZeRO-3, transformers before 5.23 silently casts them to bf16, which makes the angles of positions
    beyond a few hundred wrong by a large part of a turn.
    """
    found = rotary.inv_freq.double().cpu()
    exponents = torch.arange(len(found), dtype=torch.float64) / len(found)
    exact = rotary.config.rope_parameters["rope_theta"] ** -exponents
    if not torch.allclose(found, exact, rtol=1e-5, atol=0):
        raise UserError(
            f"transformers {transformers.__version__} rounded the rotary frequencies: install 5.23 or newer"
        )


def _load_with_report(path: str, model_class: type[Model], dtype: torch.dtype) -> Any:
    """The model, and its loading info with missing and mismatched weights."""
    try:
        with silence_progress():
            return model_class.from_pretrained(
                path,
                dtype=dtype,
                attn_implementation="sdpa",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported with the weight's name instead of raised
            )
    except (OSError, SafetensorError) as error:
        reason = escape(str(error).splitlines()[0] if str(error) else type(error).__name__, 200)
        raise UserError(
            f"model.path {path}: its weights cannot be read ({reason}); download it again"
        ) from error
    except RuntimeError as error:
        # Under ZeRO-3, size mismatches are always raised.
        if "size mismatch" not in str(error):
            raise
        raise UserError(f"model.path {path}: {' '.join(str(error).split())}") from error


@contextmanager
def silence_progress() -> Iterator[None]:
    """Hides transformers' progress bars and its table of missing weights."""
    logger = logging.getLogger("transformers")
    level, bars = logger.level, transformers_logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()


class UnreadableModel(UserError):
    """The config cannot be read: no such directory, or the Hub cannot be reached."""


def read_model_config(path: str) -> Any:
    """The config of a directory or Hub id.

    Raises `UserError` if it is neither Qwen2.5-VL nor Qwen2.5, or a directory contains an adapter.
    """
    is_local = exists_locally(path)
    if not is_local and not may_be_hub_id(path):
        raise UserError(
            f"model.path {escape(path, 200)}: {missing_reason(path)}; give a model directory or a Hub id"
        )
    if is_local and (Path(path) / "adapter_config.json").exists():
        raise UserError(_adapter_message(path))
    if is_local and not (Path(path) / "config.json").is_file():
        raise UserError(f"model.path {path}: it has no config.json; give a Hugging Face model directory")
    try:
        with silence_hub_retries():
            config = AutoConfig.from_pretrained(path)
    except CONFIG_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UnreadableModel(
            f"model.path {path}: cannot be read ({reason}); give a model directory or a Hub id"
        ) from error
    if config.model_type not in MODEL_CLASSES:
        raise UserError(
            f"model.path {path}: a {config.model_type} model; this trainer supports {join_or(MODEL_CLASSES)}"
        )
    return config


def _adapter_message(path: str) -> str:
    """transformers would attach the adapter in silence, and it would be neither trained nor exported."""
    return (
        f"model.path {path}: contains a LoRA adapter (adapter_config.json); give a merged model "
        "(peft: merge_and_unload, here: lora.export=merged), or the base model without the adapter's files"
    )


def end_ids(path: str, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids that end a response: the generation config's, or the tokenizer's end token.

    Raises `UserError` if that config is invalid or has no ids.
    """
    try:
        ends = GenerationConfig.from_pretrained(path).eos_token_id
    except OSError as error:
        if (Path(path) / "generation_config.json").exists():
            raise UserError(
                f"model.path {path}: its generation_config.json is not valid JSON; fix it"
            ) from error
        ends = None
    ends = tokenizer.eos_token_id if ends is None else ends
    ids = [ends] if isinstance(ends, int) else ends
    if not isinstance(ids, list) or not ids or not all(type(token) is int and token >= 0 for token in ids):
        raise UserError(
            f"model.path {path}: eos_token_id {escape(str(ends))} is not a token id; fix its config"
        )
    return frozenset(ids)


def banned_ids(vocabulary: int, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """Mask [V] bool of ids that are never sampled: vision tokens, and embedding rows beyond the tokenizer.

    A sampled `<|image_pad|>` would crash the scoring pass.
    """
    banned = torch.zeros(vocabulary, dtype=torch.bool)
    banned[len(tokenizer) :] = True
    vocabulary_ids = tokenizer.get_vocab()
    banned[[vocabulary_ids[token] for token in VISION_TOKENS if token in vocabulary_ids]] = True
    return banned


def text_model(model: Any) -> Any:
    """Embedding, layers and final norm."""
    return getattr(model.model, "language_model", model.model)


def vision_tower(model: Any) -> Any | None:
    """None for a text-only model."""
    return getattr(model.model, "visual", None)


@dataclass(frozen=True)
class FrozenParts:
    """Parts of the vision tower that are not trained."""

    tower: bool = False
    projector: bool = False  # maps the tower's features to the text model's width


NOTHING_FROZEN = FrozenParts()


def frozen_parts(config: Config) -> FrozenParts:
    """The frozen parts by the config; with LoRA, the parts without adapters."""
    model = config.model
    if config.lora.rank is not None:
        return FrozenParts(tower=not config.lora.vision, projector=True)
    projector = model.freeze_vision if model.freeze_projector is None else model.freeze_projector
    return FrozenParts(tower=model.freeze_vision, projector=projector)
