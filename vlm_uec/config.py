"""The run's configuration: one typed tree, checked before any model loads.

Order of precedence: the algorithm preset's switches, the YAML file, `dotted.key=value` arguments.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vlm_uec.errors import UserError


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(Section):
    path: str = Field(description="Hugging Face directory or Hub id of a Qwen2.5-VL.")
    precision: Literal["fp32", "bf16"] = Field("bf16", description="Weights and activations; fp32 on CPU.")
    freeze_vision: bool = Field(False, description="Keep the vision tower as it is.")
    activation_checkpointing: bool = Field(
        True, description="Recompute activations in backward: less memory."
    )


class DataConfig(Section):
    path: str | None = Field(None, description="Directory of data_prep, parquet directory, or Hub id.")
    mixture: dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="Instead of path: several of them, each with its weight in every step."
    )
    validation_path: str | None = Field(
        None, description="Where validation problems come from; null: from path."
    )
    train_split: str = Field("train", description="Split trained on.")
    validation_split: str = Field("validation", description="Split of eval/pass@1.")
    min_pixels: int = Field(262_144, gt=0, description="Smaller pictures are enlarged to this many pixels.")
    max_pixels: int = Field(4_194_304, gt=0, description="Larger pictures are shrunk to this many pixels.")
    max_prompt_tokens: int = Field(2048, gt=0, description="Longer prompts are left out, with a count.")

    @property
    def weights(self) -> dict[str, float]:
        """Every data set trained on, with its weight."""
        return self.mixture or {str(self.path): 1.0}

    @model_validator(mode="after")
    def _consistent(self) -> DataConfig:
        if not self.path and not self.mixture:
            raise ValueError("data.path is missing")
        if self.path and self.mixture:
            raise ValueError("data.path and data.mixture are both set; set data.path=null for the mixture")
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels {self.min_pixels} is above max_pixels {self.max_pixels}")
        return self


class PromptConfig(Section):
    template: str | None = Field(
        None,
        description="jinja text, or a .jinja file; sees question and choices. null: the reference's.",
    )


class RolloutConfig(Section):
    engine: Literal["native"] = Field("native", description="How responses are sampled.")
    prompts: int = Field(512, gt=0, description="|B|: prompts a step.")
    n: int = Field(5, gt=1, description="G: responses a prompt.")
    temperature: float = Field(1.0, gt=0, le=4, description="t.")
    top_p: float = Field(0.99, gt=0, le=1, description="Nucleus mass.")
    max_tokens: int = Field(2048, gt=0, description="Response limit.")
    slots: int | None = Field(
        None, ge=8, description="Responses decoded at a time, a rank; null: what memory holds (CPU: 64)."
    )


class ExplorationConfig(Section):
    enabled: bool = Field(False, description="Sample more where every rollout failed.")
    n: int = Field(20, gt=1, description="G': responses a difficult prompt.")
    temperature: float = Field(1.2, gt=0, le=4, description="t'.")


class RetentionConfig(Section):
    regular: bool = Field(False, description="Drop regular trajectories with |advantage| <= threshold.")
    threshold: float = Field(0.05, ge=0, description="Of the regular rule.")
    exploration: bool = Field(False, description="Drop exploration trajectories by the rule below.")
    retain: Literal["positive", "magnitude"] = Field(
        "positive",
        description="Exploration rule: advantage > 0 (paper) or |advantage| > magnitude (reference code).",
    )
    magnitude: float = Field(1.0, ge=0, description="Of the magnitude rule.")


class PendingConfig(Section):
    enabled: bool = Field(False, description="Wait for |B| x G retained trajectories before an update.")


class OverlongFilterConfig(Section):
    enabled: bool = Field(False, description="Drop truncated responses with positive advantage.")


class StabilizerConfig(Section):
    enabled: bool = Field(False, description="Replay high-advantage trajectories.")
    capacity: float = Field(2.0, gt=0, description="s': buffer size in units of |B| x G.")
    frequency: int = Field(5, gt=0, description="f_replay: steps between replays.")
    min_advantage: float = Field(1.0, description="A0: only trajectories above it are kept.")


class LossConfig(Section):
    name: Literal["grpo"] = Field("grpo", description="Policy objective: clipped surrogate.")
    clip_low: float = Field(0.2, gt=0, lt=1, description="Ratio floor is 1 - clip_low.")
    clip_high: float = Field(0.2, gt=0, description="Ratio ceiling is 1 + clip_high.")
    dual_clip: float | None = Field(3.0, gt=1, description="Bound for negative advantages; null: off.")
    aggregation: Literal["token_mean", "sequence_mean"] = Field(
        "token_mean", description="Over a mini-batch."
    )
    kl_coef: float = Field(1e-2, ge=0, description="0: no reference policy is held.")
    kl_estimator: Literal["k1", "k2", "k3"] = Field("k3", description="Schulman's estimators.")
    importance_cap: float | None = Field(
        None,
        gt=0,
        description="Truncated importance weight against the sampler's log-probs; null: off (paper).",
    )


class OptimConfig(Section):
    lr: float = Field(1e-6, gt=0, description="AdamW, constant.")
    weight_decay: float = Field(1e-2, ge=0, description="AdamW, decoupled.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradient norm clip.")
    minibatch: int = Field(128, gt=0, description="Prompts an optimizer step: minibatch x G trajectories.")
    microbatch_tokens: int = Field(8192, gt=0, description="Packed positions a forward pass, a rank.")


class RewardConfig(Section):
    function: str = Field("accuracy", description='"accuracy", or a plug-in "path/to/file.py:function".')
    format_weight: float = Field(0.0, ge=0, lt=1, description="Share of the format term in the reward.")


class DeepSpeedConfig(Section):
    config: str = Field("configs/zero3.json", description="ZeRO-3 JSON.")


class EvalConfig(Section):
    n: int = Field(1, gt=0, description="Responses a validation problem.")
    temperature: float = Field(0.5, ge=0, le=4, description="0 is greedy.")
    problems: int | None = Field(None, gt=0, description="First so many validation problems; null: all.")


class TrainConfig(Section):
    steps: int = Field(gt=0, description="Trainer steps, those that only generate included.")
    seed: int = Field(1, ge=0, description="Of prompt order, sampling and replay.")
    eval_every: int = Field(0, ge=0, description="Steps between validations, and after the last; 0: never.")
    save_every: int = Field(0, ge=0, description="Steps between checkpoints; the last always has one.")
    keep: int = Field(2, gt=0, description="Newest checkpoints kept.")
    run_dir: str = Field(description="Where everything is written.")


class Config(Section):
    """One run."""

    algorithm: Literal["grpo", "uec"] = Field("uec", description="Preset of the switches below.")
    model: ModelConfig
    data: DataConfig
    prompt: PromptConfig = PromptConfig()
    rollout: RolloutConfig = RolloutConfig()
    exploration: ExplorationConfig = ExplorationConfig()
    retention: RetentionConfig = RetentionConfig()
    pending: PendingConfig = PendingConfig()
    overlong_filter: OverlongFilterConfig = OverlongFilterConfig()
    stabilizer: StabilizerConfig = StabilizerConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    reward: RewardConfig = RewardConfig()
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()
    evaluation: EvalConfig = EvalConfig()
    train: TrainConfig
    resume: str = Field(
        "never", description='"never", "auto" (newest checkpoint of run_dir, if any) or a path.'
    )

    @property
    def unit(self) -> int:
        """|B| x G: trajectories of one full batch."""
        return self.rollout.prompts * self.rollout.n

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.rollout.prompts % self.optim.minibatch:
            raise ValueError(
                f"optim.minibatch {self.optim.minibatch} does not divide "
                f"rollout.prompts {self.rollout.prompts}"
            )
        if self.stabilizer.enabled and self.stabilizer.capacity < 1:
            raise ValueError(f"stabilizer.capacity {self.stabilizer.capacity} can never hold one |B| x G")
        if self.train.eval_every and self.data.mixture and not self.data.validation_path:
            raise ValueError("data.validation_path is missing: a mixture does not say what to validate on")
        return self


_SWITCHES = {
    "exploration": ("enabled",),
    "retention": ("regular", "exploration"),
    "pending": ("enabled",),
    "overlong_filter": ("enabled",),
    "stabilizer": ("enabled",),
}


def preset(algorithm: object) -> dict[str, Any]:
    """The switches an algorithm stands for: all on (uec) or all off (grpo)."""
    return {section: dict.fromkeys(keys, algorithm == "uec") for section, keys in _SWITCHES.items()}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads, merges and checks; raises `UserError` naming the key, its value and the way out."""
    tree = _merge(_read_yaml(Path(path)), _parse_overrides(overrides))
    tree = _merge(preset(tree.get("algorithm", "uec")), tree)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error)}") from None


def dump_config(config: Config) -> str:
    """YAML that `load_config` reads back to an equal config."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); configs/ holds examples") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: holds no sections; configs/ has examples")
    return tree


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise UserError(f"argument {override!r}: write dotted.key=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"argument {override!r}: the value is not valid YAML") from error
        for part in reversed(key.split(".")):
            value = {part: value}
        tree = _merge(tree, value)
    return tree


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}{_nearest(key)}{more}"
    if first["type"] == "missing":
        return f"{key} is missing{more}"
    message = first["msg"].removeprefix("Value error, ")
    return (
        f"{key} = {first['input']!r}: {message}{more}"
        if key and first["type"] != "value_error"
        else message + more
    )


def _nearest(key: str) -> str:
    known = [*config_keys(), *Config.model_fields]
    if close := difflib.get_close_matches(key, known, n=1):
        return f"; did you mean {close[0]}?"
    section = key.rpartition(".")[0]
    siblings = [name for name in config_keys() if name.rpartition(".")[0] == section]
    return f"; {section or 'the top level'} has {', '.join(siblings)}" if siblings else ""


def config_keys(section: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Every dotted key of the tree."""
    keys: list[str] = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            keys += config_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys
