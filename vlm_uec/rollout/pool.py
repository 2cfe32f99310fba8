"""The decode slots' state on the device, and the step that advances all of them by one token.

The step is a pure function of device tensors: it never synchronises with the host, so that on CUDA it can be
captured once and replayed. The host reads the state between steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vlm_uec.model.policy import Policy
from vlm_uec.rollout.cache import PoolSize, PromptCache, SlotCache, View
from vlm_uec.rollout.decoder import TextDecoder
from vlm_uec.rollout.engine import Sampling
from vlm_uec.rollout.sampling import Sampled, sample_tokens


@dataclass(frozen=True)
class SlotInit:
    """A response to start in a slot."""

    slot: int
    prompt: PromptCache
    sampling: Sampling
    uniforms: torch.Tensor  # [max tokens] float64, CPU


@dataclass(frozen=True)
class SlotOutput:
    """A slot's tokens and records, on the CPU."""

    tokens: torch.Tensor  # [R] int64
    records: torch.Tensor  # [4, R]: behaviour and policy log-probs, entropy, kept mass


class Pool:
    """S slots, of which the host uses rows 0 .. n-1."""

    def __init__(self, policy: Policy, end_ids: frozenset[int], size: PoolSize, like: PromptCache) -> None:
        slots, width = size.slots, size.width
        device = like.keys[0].device
        self._policy = policy
        self._decoder = TextDecoder(policy.text)
        self._ends = torch.tensor(sorted(end_ids), dtype=torch.int64, device=device)
        heads = policy.text.config.num_attention_heads
        self.cache = SlotCache(size, heads, like)
        # One column more than can be filled: finished rows write there until the host reads the state.
        self._tokens = torch.zeros(slots, width + 1, dtype=torch.int64, device=device)
        self._records = torch.zeros(4, slots, width + 1, device=device)
        self._uniforms = torch.zeros(slots, width + 1, dtype=torch.float64, device=device)
        self._last = torch.zeros(slots, dtype=torch.int64, device=device)
        self._positions = torch.zeros(slots, dtype=torch.int64, device=device)
        self._counts = torch.zeros(slots, dtype=torch.int64, device=device)
        self._limits = torch.zeros(slots, dtype=torch.int64, device=device)
        self._alive = torch.zeros(slots, dtype=torch.bool, device=device)
        self._temperatures = torch.ones(slots, device=device)
        self._top_p = torch.ones(slots, device=device)
        self._rows = torch.arange(slots, device=device)
        # On the host, so that steps skip a softmax and a sort if no response needs them.
        self._tempered = self._nucleus = False

    def admit(self, inits: Sequence[SlotInit]) -> None:
        """Starts responses in assigned slots; samples first tokens from their prompts' logits."""
        for init in inits:
            slot, sampling = init.slot, init.sampling
            self._positions[slot] = init.prompt.next_position
            self._counts[slot] = 0
            self._limits[slot] = sampling.max_tokens
            self._alive[slot] = True
            self._temperatures[slot] = sampling.temperature
            self._top_p[slot] = sampling.top_p
            self._uniforms[slot, : sampling.max_tokens] = init.uniforms.to(self._uniforms.device)
            self._tempered |= sampling.temperature != 1
            self._nucleus |= sampling.top_p < 1
        rows = torch.tensor([init.slot for init in inits], device=self._rows.device)
        logits = torch.cat([init.prompt.logits for init in inits])
        self._write(rows, self._sample(rows, logits))

    @property
    def modes(self) -> tuple[bool, bool]:
        """Whether temperatures and nuclei are computed; a captured step depends on these and on the view."""
        return self._tempered, self._nucleus

    def step(self, view: View) -> None:
        """Decodes one token in every row of the view that is alive."""
        rows = self._rows[: view.slots]
        hidden = self._decoder(self._last[: view.slots], self._positions[: view.slots], self.cache, view)
        alive = self._alive[: view.slots]
        self.cache.lengths[: view.slots] += alive
        self._positions[: view.slots] += alive
        self._write(rows, self._sample(rows, self._policy.logits(hidden)))

    def state(self, rows: int) -> tuple[list[bool], list[int]]:
        """Which of the first rows are alive, and how many tokens each has. Synchronises with the device."""
        counts = torch.where(self._alive, self._counts, -self._counts)[:rows].tolist()
        return [count > 0 for count in counts], [abs(count) for count in counts]

    def read(self, slots: Sequence[int], counts: Sequence[int]) -> list[SlotOutput]:
        """The outputs of these slots; slot i has `counts[i]` tokens."""
        index = torch.tensor(slots, device=self._rows.device)
        tokens, records = self._tokens[index].cpu(), self._records[:, index].cpu()
        return [
            SlotOutput(tokens[row, :count].clone(), records[:, row, :count])
            for row, count in enumerate(counts)
        ]

    def move(self, source: int, target: int) -> None:
        """Moves a response to another slot."""
        self.cache.move(source, target)
        self._records[:, target] = self._records[:, source]
        for tensor in (
            self._tokens,
            self._uniforms,
            self._last,
            self._positions,
            self._counts,
            self._limits,
            self._alive,
            self._temperatures,
            self._top_p,
        ):
            tensor[target] = tensor[source]
        self._alive[source] = False

    def _sample(self, rows: torch.Tensor, logits: torch.Tensor) -> Sampled:
        return sample_tokens(
            logits,
            self._policy.head.banned,
            self._uniforms[rows, self._counts[rows]],
            self._temperatures[rows] if self._tempered else None,
            self._top_p[rows] if self._nucleus else None,
        )

    def _write(self, rows: torch.Tensor, sampled: Sampled) -> None:
        columns, alive = self._counts[rows], self._alive[rows]
        self._tokens[rows, columns] = sampled.tokens
        self._records[:, rows, columns] = torch.stack(
            [sampled.behaviour_logprobs, sampled.policy_logprobs, sampled.entropy, sampled.kept_mass]
        )
        self._last[rows] = sampled.tokens
        counts = columns + alive
        ended = (sampled.tokens[:, None] == self._ends).any(dim=1) | (counts == self._limits[rows])
        self._counts[rows] = counts
        self._alive[rows] = alive & ~ended
