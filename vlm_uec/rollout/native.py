"""In-process sampling on the policy's own (gathered) weights: prefill once a group, refill slots.

A fixed pool of slots decodes in lockstep; when a response ends, the next one takes its slot on its
prompt's cached keys and values. No collective call happens inside, so ranks may differ in length.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from vlm_uec.policy.forward import Policy
from vlm_uec.rollout.cache import PromptCache, SlotCache
from vlm_uec.rollout.engine import OnProgress, Progress, Request, Sampling, StreamKey
from vlm_uec.rollout.sampling import Sampled, sample_tokens, uniform_stream
from vlm_uec.types import Group, Response

MIN_SLOTS = 8  # below, matrix products take another path and a row's last bits change
REPORT_EVERY_S = 1.0


class NativeEngine:
    """Samples with the policy given; the caller sees to it that its weights are whole (not sharded)."""

    def __init__(self, policy: Policy, end_ids: frozenset[int], slots: int) -> None:
        self.policy = policy
        self.end_ids = end_ids
        self.slots = max(slots, MIN_SLOTS)

    @torch.inference_mode()
    def generate(
        self, requests: Sequence[Request], sampling: Sampling, key: StreamKey, on_progress: OnProgress
    ) -> list[Group]:
        """One group a request, its responses in index order. Deterministic for a key on CPU."""
        if not requests:
            return []
        self.policy.eval()
        rollout = _Rollout(self, requests, sampling, key)
        reported = time.monotonic()
        while rollout.advance():
            if time.monotonic() - reported >= REPORT_EVERY_S:
                on_progress(rollout.progress())
                reported = time.monotonic()
        on_progress(rollout.progress())
        return rollout.groups()

    def prefill(self, request: Request) -> PromptCache:
        """The prompt's keys, values and last logits, from one pass of batch 1."""
        prompt, device = request.prompt, self.policy.head.weight.device
        embeddings = self.policy.embed(
            prompt.input_ids.to(device), prompt.patches.to(device), prompt.grid.to(device)
        )
        cache = DynamicCache()
        output = self.policy.model.model.language_model(
            inputs_embeds=embeddings[None],
            position_ids=prompt.positions[:, None].to(device),
            attention_mask={"full_attention": None},  # plain causal
            past_key_values=cache,
            use_cache=True,
        )
        logits = self.policy.logits(output.last_hidden_state[0, -1:])
        return PromptCache.of(cache, logits, prompt.next_position)

    def decode(self, tokens: torch.Tensor, positions: torch.Tensor, cache: SlotCache) -> torch.Tensor:
        """Logits [S, V] after feeding one token ([S]) a slot at M-RoPE positions [S]."""
        text = self.policy.model.model.language_model
        cache.open_position()
        output = text(
            inputs_embeds=text.embed_tokens(tokens[:, None]),
            position_ids=positions.expand(3, -1)[..., None],
            attention_mask={"full_attention": cache.mask},
            past_key_values=cache,
            use_cache=True,
        )
        return self.policy.logits(output.last_hidden_state[:, 0])


@dataclass(frozen=True)
class _Draft:
    """A response in the making: where it belongs and its random numbers."""

    request: int
    index: int
    uniforms: torch.Tensor  # [max tokens] float64, CPU


class _Rollout:
    """The state of one `generate` call."""

    def __init__(
        self, engine: NativeEngine, requests: Sequence[Request], sampling: Sampling, key: StreamKey
    ) -> None:
        self.engine, self.requests, self.sampling, self.key = engine, requests, sampling, key
        self.device = engine.policy.head.weight.device
        self.banned = engine.policy.head.banned
        self.waiting = deque(self._drafts())
        self.total = len(self.waiting)
        self.prompt = engine.prefill(requests[0])
        self.prompt_of = 0
        longest = max(request.prompt.length for request in requests)
        self.cache = SlotCache(engine.slots, longest + sampling.max_tokens, self.prompt)
        self.drafts: list[_Draft | None] = [None] * engine.slots
        self.counts = [0] * engine.slots  # tokens sampled so far, a slot
        slots, width = engine.slots, sampling.max_tokens
        self.tokens = torch.zeros(slots, width, dtype=torch.int64, device=self.device)
        self.records = torch.zeros(4, slots, width, device=self.device)
        self.uniforms = torch.zeros(slots, width, dtype=torch.float64, device=self.device)
        self.next_tokens = torch.zeros(slots, dtype=torch.int64, device=self.device)
        self.positions = torch.zeros(slots, dtype=torch.int64, device=self.device)
        self.finished: dict[tuple[int, int], Response] = {}
        self.sampled_tokens = 0

    def _drafts(self) -> Iterator[_Draft]:
        for number, request in enumerate(self.requests):
            for index in range(request.first_index, request.first_index + request.count):
                yield _Draft(
                    number,
                    index,
                    uniform_stream(
                        self.key.seed,
                        self.key.step,
                        request.prompt.problem_id,
                        index,
                        self.sampling.max_tokens,
                    ),
                )

    def advance(self) -> bool:
        """Refills free slots, then decodes one token in every slot; False when all is sampled."""
        self._refill()
        alive = torch.tensor([draft is not None for draft in self.drafts])
        if not alive.any():
            return False
        logits = self.engine.decode(self.next_tokens, self.positions, self.cache)
        on_device = alive.to(self.device)
        self.cache.close_position(on_device)
        self.positions += on_device
        columns = torch.tensor(self.counts, device=self.device).clamp(max=self.sampling.max_tokens - 1)
        uniforms = self.uniforms.gather(1, columns[:, None])[:, 0]
        self._record(list(range(len(self.drafts))), self._sample(logits, uniforms))
        return True

    def _refill(self) -> None:
        for slot in range(len(self.drafts)):
            # A response may end with its first token, so one slot can serve several in a row.
            while self.drafts[slot] is None and self.waiting:
                self._admit(slot, self.waiting.popleft())

    def _admit(self, slot: int, draft: _Draft) -> None:
        if draft.request != self.prompt_of:
            self.prompt = self.engine.prefill(self.requests[draft.request])
            self.prompt_of = draft.request
        self.cache.admit(slot, self.prompt)
        self.positions[slot] = self.prompt.next_position
        self.drafts[slot] = draft
        self.counts[slot] = 0
        self.uniforms[slot] = draft.uniforms.to(self.device)
        self._record([slot], self._sample(self.prompt.logits, self.uniforms[slot, :1]))

    def _sample(self, logits: torch.Tensor, uniforms: torch.Tensor) -> Sampled:
        return sample_tokens(logits, self.banned, uniforms, self.sampling.temperature, self.sampling.top_p)

    def _record(self, slots: list[int], sampled: Sampled) -> None:
        rows = torch.tensor(slots, device=self.device)
        columns = torch.tensor([self.counts[slot] for slot in slots], device=self.device)
        columns = columns.clamp(max=self.sampling.max_tokens - 1)  # idle slots write into the void
        self.tokens[rows, columns] = sampled.tokens
        self.records[:, rows, columns] = torch.stack(
            [sampled.behaviour_logprobs, sampled.policy_logprobs, sampled.entropy, sampled.kept_mass]
        )
        self.next_tokens[rows] = sampled.tokens
        for slot, token in zip(slots, sampled.tokens.tolist(), strict=True):
            if self.drafts[slot] is not None:
                self._count(slot, token)

    def _count(self, slot: int, token: int) -> None:
        self.counts[slot] += 1
        self.sampled_tokens += 1
        ended = token in self.engine.end_ids
        if ended or self.counts[slot] == self.sampling.max_tokens:
            self._finish(slot, truncated=not ended)

    def _finish(self, slot: int, *, truncated: bool) -> None:
        draft, length = self.drafts[slot], self.counts[slot]
        assert draft is not None
        request = self.requests[draft.request]
        # Copies: the slot's next response writes over these buffers.
        behaviour, policy, entropy, kept = self.records[:, slot, :length].clone().cpu().unbind()
        self.finished[draft.request, draft.index] = Response(
            problem_id=request.prompt.problem_id,
            index=draft.index,
            source=request.source,
            tokens=self.tokens[slot, :length].clone().cpu(),
            behaviour_logprobs=behaviour,
            policy_logprobs=policy,
            entropy=entropy,
            kept_mass=kept,
            truncated=truncated,
        )
        self.drafts[slot] = None

    def progress(self) -> Progress:
        return Progress(len(self.finished), self.total, self.sampled_tokens)

    def groups(self) -> list[Group]:
        """The finished groups, in the order of the requests."""
        return [
            Group(
                request.prompt,
                tuple(
                    self.finished[number, index]
                    for index in range(request.first_index, request.first_index + request.count)
                ),
            )
            for number, request in enumerate(self.requests)
        ]
