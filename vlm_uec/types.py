"""The values that cross module borders, all frozen.

One naming table for shapes in the whole project:

    B  prompts of a step            P  tokens of a prompt        V  vocabulary
    G  responses of a prompt        R  tokens of a response      N  image patches of a prompt
    L  tokens of a packed row       T  response tokens scored in a packed row

A *group* is one encoded prompt and its responses; it stays together from the sampler to the
optimizer, so a prompt and its pictures are encoded once however many responses it has.
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
    """One dataset row, as read from disk; pictures stay encoded (PNG or JPEG bytes)."""

    id: str
    question: str  # holds one "<image>" for each picture, where it belongs
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
    def picture_key(self) -> bytes:
        """Equal for equal pictures, whatever the problem they come with."""
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
    """One sampled response and what the sampler knew about it. Tensors on the CPU, each [R]."""

    problem_id: str
    index: int  # 0 .. G-1 regular, G .. G+G'-1 exploration
    source: Source
    tokens: torch.Tensor  # int64; ends with the end token unless truncated
    behaviour_logprobs: torch.Tensor  # float32: of the distribution sampled from (t, top-p)
    policy_logprobs: torch.Tensor  # float32: of the policy itself (t = 1, allowed ids)
    entropy: torch.Tensor  # float32: exact entropy of the policy at each token (t = 1)
    kept_mass: torch.Tensor  # float32: probability that top-p kept before renormalising
    truncated: bool  # no end token before the length limit
    # float32: log-prob of the sampler's own model less the policy's, of the distribution sampled from; None
    # where the policy itself samples.
    mismatch: torch.Tensor | None = None


@dataclass(frozen=True)
class Reward:
    """A judged response. `accuracy` alone decides which prompts are difficult."""

    total: float
    accuracy: float
    format: float
    reason: str  # why, in the verifier's words
    verdict: str | None = None  # the verifier's kind (right, wrong, unparsable, no_answer); None of a plug-in


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
    """A trajectory with the log-probs that the loss compares with. Each tensor [R] float32."""

    trajectory: Trajectory
    old_logprobs: torch.Tensor  # of the policy just before its update, t = 1
    reference_logprobs: torch.Tensor | None  # None where kl_coef is 0


@dataclass(frozen=True)
class Group:
    """One encoded prompt and responses to it."""

    prompt: EncodedPrompt
    responses: tuple[Response, ...]
