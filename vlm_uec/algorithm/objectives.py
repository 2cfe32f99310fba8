"""The table of objectives: each is a loss function, the config keys that it reads, a preset and a source.

The config (`algorithm`, `loss.name`, their documentation) and the learner read this table. A new objective is
a function in `losses.py` and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from vlm_uec.algorithm.losses import (
    SurrogateTerms,
    clipped_surrogate,
    clipped_weight,
    sequence_surrogate,
    soft_gate,
    unclipped_surrogate,
)

Preset = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Loss:
    """What one value of `loss.name` stands for."""

    name: str
    function: Callable[..., SurrogateTerms]  # (log-probs [T], old log-probs [T], advantages [T], **keys)
    keys: tuple[str, ...] = ()  # keys of the config's `loss` section, passed by keyword
    per_response: bool = False  # also passes `lengths`: the tokens of each response, in order


@dataclass(frozen=True)
class Objective:
    """What one value of `algorithm` stands for, without UEC-RL."""

    loss: Loss
    source: str
    settings: Preset = field(default_factory=dict)  # what its authors set, where that is not the default

    @property
    def preset(self) -> dict[str, dict[str, Any]]:
        """Every config key that the objective sets, by section."""
        preset = {section: dict(keys) for section, keys in self.settings.items()}
        if self.loss is not CLIP:
            preset["loss"] = {"name": self.loss.name, **preset.get("loss", {})}
        return preset


CLIP = Loss("grpo", clipped_surrogate, ("clip_low", "clip_high", "dual_clip"))

OBJECTIVES: dict[str, Objective] = {
    "grpo": Objective(CLIP, "arXiv 2402.03300"),
    "dr_grpo": Objective(
        CLIP,
        "arXiv 2503.20783",
        {"advantage": {"scaled": False}, "loss": {"aggregation": "constant", "kl_coef": 0.0}},
    ),
    "dapo": Objective(
        CLIP,
        "arXiv 2503.14476",
        {
            "loss": {"clip_high": 0.28, "kl_coef": 0.0},
            "reward": {"overlong_buffer": 0.2},
            # Dynamic sampling: groups all right or all wrong are dropped, and a batch waits until it is full.
            "retention": {"mixed_groups": True},
            "pending": {"enabled": True},
        },
    ),
    "gspo": Objective(
        Loss("gspo", sequence_surrogate, ("clip_low", "clip_high"), per_response=True),
        "arXiv 2507.18071",
        {"loss": {"clip_low": 3e-4, "clip_high": 4e-4, "aggregation": "sequence_mean", "kl_coef": 0.0}},
    ),
    "cispo": Objective(
        Loss("cispo", clipped_weight, ("clip_low", "clip_high")),
        "arXiv 2506.13585",
        {"loss": {"clip_low": 1.0, "clip_high": 0.28, "kl_coef": 0.0}},
    ),
    "sapo": Objective(
        Loss("sapo", soft_gate, ("tau_positive", "tau_negative")),
        "arXiv 2511.20347",
        {"loss": {"aggregation": "sequence_mean", "kl_coef": 0.0}},
    ),
    "entropy_bonus": Objective(CLIP, "arXiv 1602.01783", {"loss": {"entropy_coef": 1e-3}}),
    "kl_cov": Objective(
        Loss("unclipped", unclipped_surrogate),
        "arXiv 2505.22617",
        {"loss": {"kl_cov_coef": 1.0, "kl_coef": 0.0}},
    ),
}
"""By name. `NAME` and `NAME+uec` are values of the config's `algorithm`; grpo+uec is called uec."""


def algorithms() -> Iterator[str]:
    """Every value of `algorithm`."""
    for name in OBJECTIVES:
        yield name
        yield "uec" if name == "grpo" else f"{name}+uec"


def losses() -> dict[str, Loss]:
    """Every value of `loss.name`, with what it stands for."""
    return {objective.loss.name: objective.loss for objective in OBJECTIVES.values()}


def surrogate(
    name: str,
    settings: Mapping[str, Any],
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    lengths: Sequence[int],
) -> SurrogateTerms:
    """The loss called `name` of a pass's tokens, [T] each; `lengths` of its responses, in order.

    `settings`: the config's `loss` section. Raises KeyError for a name that is not in the table.
    """
    loss = losses()[name]
    keywords: dict[str, Any] = {key: settings[key] for key in loss.keys}
    if loss.per_response:
        keywords["lengths"] = lengths
    return loss.function(logprobs, old_logprobs, advantages, **keywords)
