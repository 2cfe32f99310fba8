"""Data types shared by all modules, all frozen.

Names of dimensions, used in the whole project:

    B  prompts of a step            P  tokens of a prompt        V  vocabulary
    G  responses of a prompt        R  tokens of a response      N  image patches of a prompt
    L  tokens of a packed row       T  response tokens scored in a packed row

A *group* is one encoded prompt and its responses; it stays together from the sampler to the
optimizer, so a prompt and its images are encoded once for all its responses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch

Source = Literal["regular", "exploration"]


@dataclass(frozen=True)
class Problem:
    """One dataset row, as read from disk; images stay encoded (PNG, JPEG, ... bytes)."""

    id: str
    question: str  # has one "<image>" for each image, at its position
    answer: str
    images: tuple[bytes, ...] = ()
    choices: tuple[str, ...] = ()
    precision: int | None = None
    question_type: str = "free_form"
    answer_type: str = "text"
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt ready for the policy: tokens, patches and M-RoPE positions, all on the CPU."""

    problem_id: str
    input_ids: torch.Tensor  # [P] int64, image placeholders expanded
    pixel_values: torch.Tensor  # [N, 3 * 2 * 14 * 14] float32
    image_grid_thw: torch.Tensor  # [images, 3] int64: time, height and width in patches
    position_ids: torch.Tensor  # [3, P] int64: M-RoPE time, height, width

    @property
    def length(self) -> int:
        return self.input_ids.shape[0]

    @cached_property
    def image_key(self) -> bytes:
        """Equal for equal images, also of different problems."""
        digest = hashlib.blake2b(digest_size=16)
        for tensor in (self.image_grid_thw, self.pixel_values):
            digest.update(tensor.numpy().tobytes())
        return digest.digest()

    @property
    def next_position(self) -> int:
        """The M-RoPE position of the first response token."""
        return int(self.position_ids.max()) + 1


@dataclass(frozen=True)
class Response:
    """One sampled response with the sampler's token statistics. Tensors on the CPU, each [R]."""

    problem_id: str
    index: int  # 0 .. G-1 regular, G .. G+G'-1 exploration
    source: Source
    tokens: torch.Tensor  # int64; ends with the end token unless truncated
    behaviour_logprobs: torch.Tensor  # float32: of the sampled distribution (temperature, top-p)
    policy_logprobs: torch.Tensor  # float32: of the policy itself (t = 1, allowed ids)
    entropy: torch.Tensor  # float32: exact entropy of the policy at each token (t = 1)
    kept_mass: torch.Tensor  # float32: probability that top-p kept before renormalising
    truncated: bool  # no end token before the length limit
    # float32: log-prob of the sampler's own model minus the policy's, both of the sampled distribution; None
    # if the policy itself samples.
    mismatch: torch.Tensor | None = None


@dataclass(frozen=True)
class Reward:
    """A judged response. `accuracy` alone decides which prompts are difficult."""

    total: float
    accuracy: float
    format: float
    reason: str  # the verifier's explanation
    verdict: str | None = None  # right, wrong, unparsable or no_answer; None for a plug-in


@dataclass(frozen=True)
class Trajectory:
    """A response with its reward and group advantage: the unit of the buffers."""

    response: Response
    reward: Reward
    advantage: float
    step: int  # the trainer step that sampled it

    @property
    def key(self) -> tuple[int, str, int]:
        """Unique within a run, and the canonical order within a step's problem."""
        return (self.step, self.response.problem_id, self.response.index)


@dataclass(frozen=True)
class ScoredTrajectory:
    """A trajectory with the log-probs that the loss needs. Each tensor [R] float32."""

    trajectory: Trajectory
    old_logprobs: torch.Tensor  # of the policy just before its update, t = 1
    reference_logprobs: torch.Tensor | None  # None if kl_coef is 0


@dataclass(frozen=True)
class Group:
    """One encoded prompt and its responses."""

    prompt: EncodedPrompt
    responses: tuple[Response, ...]
