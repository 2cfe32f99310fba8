"""The table of objectives: one row for each value of the `algorithm` key.

To add an objective: a loss function in `losses`, a row in `OBJECTIVES`, a recipe in configs/, a test.
Config validation, presets, docs/config.md and the learner all read this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

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
class TokenLoss:
    """A per-token loss: `function(logprobs, old_logprobs, advantages, **settings)`, each tensor [T]."""

    name: str  # the value of `loss.name`
    function: Callable[..., SurrogateTerms]
    keys: tuple[str, ...] = ()  # keys of the config's `loss` section, passed as keyword arguments
    per_response: bool = False  # the function takes the responses' lengths after the advantages
    replay_note: str = ""  # for users of the stabilizer, if old trajectories are not treated as by PPO's clip


@dataclass(frozen=True)
class Objective:
    """One value of `algorithm`: a loss, and its authors' settings that differ from the defaults."""

    loss: TokenLoss
    source: str
    preset: Preset = field(default_factory=dict)  # config sections; `loss.name` follows from `loss`
    uec_preset: Preset = field(default_factory=dict)  # replaces UEC-RL's settings in NAME+uec


class LossSettings(Protocol):
    """The config's `loss` section: `name`, and the keys that this loss uses."""

    @property
    def name(self) -> str: ...


_GRPO = TokenLoss("grpo", clipped_surrogate, ("clip_low", "clip_high", "dual_clip"))
_GSPO = TokenLoss(
    "gspo",
    sequence_surrogate,
    ("clip_low", "clip_high"),
    per_response=True,
    replay_note="its clip is a thousand times narrower than PPO's, so few replayed tokens have a gradient",
)
_CISPO = TokenLoss(
    "cispo",
    clipped_weight,
    ("clip_low", "clip_high"),
    replay_note="it keeps the gradient of every token, so nothing bounds stale trajectories",
)
_SAPO = TokenLoss("sapo", soft_gate, ("tau_positive", "tau_negative"))
_UNCLIPPED = TokenLoss(
    "unclipped",
    unclipped_surrogate,
    replay_note="it has no clip, so nothing bounds stale trajectories",
)

OBJECTIVES: dict[str, Objective] = {
    "grpo": Objective(_GRPO, "arXiv 2402.03300"),
    "dr_grpo": Objective(
        _GRPO,
        "arXiv 2503.20783",
        preset={"advantage": {"scaled": False}, "loss": {"aggregation": "constant", "kl_coef": 0.0}},
        uec_preset={"stabilizer": {"min_advantage": 0.5}},  # advantages R - mean stay below 1
    ),
    "dapo": Objective(
        _GRPO,
        "arXiv 2503.14476",
        preset={
            "loss": {"clip_high": 0.28, "kl_coef": 0.0},
            "reward": {"overlong_buffer": 0.2},
            # Dynamic sampling: drop groups that are all right or all wrong; update only on full batches.
            "retention": {"mixed_groups": True},
            "pending": {"enabled": True},
        },
    ),
    "gspo": Objective(
        _GSPO,
        "arXiv 2507.18071",
        preset={
            "loss": {"clip_low": 3e-4, "clip_high": 4e-4, "aggregation": "sequence_mean", "kl_coef": 0.0}
        },
    ),
    "cispo": Objective(
        _CISPO, "arXiv 2506.13585", preset={"loss": {"clip_low": 1.0, "clip_high": 0.28, "kl_coef": 0.0}}
    ),
    "sapo": Objective(
        _SAPO, "arXiv 2511.20347", preset={"loss": {"aggregation": "sequence_mean", "kl_coef": 0.0}}
    ),
    "entropy_bonus": Objective(_GRPO, "arXiv 1602.01783", preset={"loss": {"entropy_coef": 1e-3}}),
    "kl_cov": Objective(
        _UNCLIPPED, "arXiv 2505.22617", preset={"loss": {"kl_cov_coef": 1.0, "kl_coef": 0.0}}
    ),
}


def algorithm_names() -> tuple[str, ...]:
    """The values of the `algorithm` key: every objective alone and with UEC-RL; `uec` is GRPO with UEC-RL."""
    with_uec = {name: "uec" if name == "grpo" else f"{name}+uec" for name in OBJECTIVES}
    return tuple(choice for pair in with_uec.items() for choice in pair)


def loss_names() -> tuple[str, ...]:
    """The values of the `loss.name` key, without duplicates, in the order of the table."""
    return tuple(dict.fromkeys(objective.loss.name for objective in OBJECTIVES.values()))


def token_loss(name: str) -> TokenLoss:
    """The loss with this `loss.name`. Raises ValueError for an unknown name."""
    for objective in OBJECTIVES.values():
        if objective.loss.name == name:
            return objective.loss
    raise ValueError(f"unknown loss {name!r}; use one of {', '.join(loss_names())}")


def surrogate_terms(
    settings: LossSettings,
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    lengths: Sequence[int],
) -> SurrogateTerms:
    """The loss named by `settings.name`, all [T]; `lengths`: tokens of each response, in order."""
    loss = token_loss(settings.name)
    keywords = {key: getattr(settings, key) for key in loss.keys}
    if loss.per_response:
        return loss.function(logprobs, old_logprobs, advantages, lengths, **keywords)
    return loss.function(logprobs, old_logprobs, advantages, **keywords)
