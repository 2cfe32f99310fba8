"""In-process sampling on the policy's own (gathered) weights, in one pool of decode slots.

Each prompt is prefilled once. When a response ends, its slot goes to the next waiting one; follow-ups of a
finished group (exploration) join the same pool and share the cached prompt. No collective call happens
inside, so the ranks' rollouts may differ in length.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from vlm_uec.model.attention import PrefillAttention
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.cache import PromptCache
from vlm_uec.rollout.engine import (
    FollowUp,
    OnProgress,
    Progress,
    Request,
    RequestState,
    RolloutShape,
    StreamKey,
    nothing_more,
)
from vlm_uec.rollout.graphs import StepRunner
from vlm_uec.rollout.pool import Pool, SlotInit, SlotOutput
from vlm_uec.rollout.sampling import uniform_stream
from vlm_uec.rollout.slots import pool_size
from vlm_uec.types import EncodedPrompt, Group, Response

REPORT_EVERY_S = 1.0


class NativeEngine:
    """Samples with the given policy, whose weights must be whole (not sharded) during a call."""

    def __init__(
        self, policy: Policy, end_ids: frozenset[int], slots: int | None, prompt_tokens: int = 0
    ) -> None:
        """`slots`: responses decoded at a time; None: as many as fit into free memory.

        `prompt_tokens`: of the longest prompt of all. On a CPU all prompts are padded to it, or a row's last
        bits could depend on the longest prompt of its rollout.
        """
        self.policy, self.end_ids, self.slots = policy, end_ids, slots
        self.prompt_tokens = prompt_tokens

    @torch.inference_mode()
    def generate(
        self,
        requests: Sequence[Request],
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp = nothing_more,
    ) -> list[Group]:
        """The requests' groups, then the follow-ups'; responses in index order. Deterministic on a CPU."""
        if not requests:
            return []
        rollout = _Rollout(self, iter(requests), RolloutShape.of(requests), key, on_progress, follow_up)
        groups = {state.number: state.group() for state, _ in rollout.responses() if state.complete}
        return [groups[number] for number in sorted(groups)]

    @torch.inference_mode()
    def stream(
        self, requests: Iterable[Request], shape: RolloutShape, key: StreamKey, on_progress: OnProgress
    ) -> Iterator[Response]:
        """Every response as it ends; on a CPU the same ones however the requests are split into calls."""
        if shape.responses:
            rollout = _Rollout(self, iter(requests), shape, key, on_progress, nothing_more)
            for _, response in rollout.responses():
                yield response

    def prefill(self, prompt: EncodedPrompt) -> PromptCache:
        """The prompt's keys, values and last logits, from one pass of its own."""
        device = self.policy.head.weight.device
        features = self.policy.prompt_features(prompt)
        embeddings = self.policy.embed(prompt.input_ids.to(device), features)
        attention = PrefillAttention()
        hidden = self.policy.hidden_states(embeddings, prompt.position_ids.to(device), attention)
        logits = self.policy.logits(hidden[-1:])
        return PromptCache(tuple(attention.keys), tuple(attention.values), logits, prompt.next_position)


@dataclass(frozen=True)
class _Sequence:
    """A response being decoded: its request, and its index in that."""

    state: NativeRequestState
    index: int


class NativeRequestState(RequestState):
    """Adds the prompt's cache, until the group is complete, and the responses without a slot so far."""

    def __init__(self, request: Request, place: int, cache: PromptCache | None = None) -> None:
        """`cache`: of the request that a follow-up follows."""
        super().__init__(request, place, is_follow_up=cache is not None)
        self.cache = cache
        self.unstarted = deque(request.indices)


class _Rollout:
    """Host state of one call: the waiting requests, and the sequence in each slot."""

    def __init__(
        self,
        engine: NativeEngine,
        requests: Iterator[Request],
        shape: RolloutShape,
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp,
    ) -> None:
        engine.policy.eval()
        self.engine, self.key, self.on_progress, self.follow_up = engine, key, on_progress, follow_up
        self.untaken = (NativeRequestState(request, place) for place, request in enumerate(requests))
        self.waiting: deque[NativeRequestState] = (
            deque()
        )  # requests taken so far that have unstarted responses
        self.total, self.finished, self.sampled_tokens = shape.responses, 0, 0
        self.width = shape.max_tokens
        like = self._first_cache()
        if not like.logits.is_cuda:
            shape = replace(shape, prompt_tokens=max(shape.prompt_tokens, engine.prompt_tokens))
        size = pool_size(engine.slots, shape, like)
        self.pool = Pool(engine.policy, engine.end_ids, size, like)
        self.runner = StepRunner(self.pool)
        self.slots = size.slots
        self.sequences: list[_Sequence] = []  # of slots 0, 1, ...: those in use come first
        self.counts: list[int] = []  # tokens of each when the host last read the state

    def responses(self) -> Iterator[tuple[NativeRequestState, Response]]:
        """Each response as it ends, with its request: refills slots, then decodes."""
        reported = time.monotonic()
        while True:
            yield from self._refill()
            if not self.sequences:
                break
            self.runner.run(len(self.sequences), max(self.counts))
            if time.monotonic() - reported >= REPORT_EVERY_S:
                self.on_progress(self._progress())
                reported = time.monotonic()
        self.on_progress(self._progress())

    def _first_cache(self) -> PromptCache:
        state = self._take()
        if state is None:
            raise ValueError("a rollout needs a request")
        return self._prompt_cache(state)

    def _prompt_cache(self, state: NativeRequestState) -> PromptCache:
        if state.cache is None:
            state.cache = self.engine.prefill(state.request.prompt)
        return state.cache

    def _refill(self) -> Iterator[tuple[NativeRequestState, Response]]:
        """Collects finished responses, requests follow-ups, and fills the free slots or closes the gaps."""
        changed = False
        while True:
            alive, self.counts = self.pool.state(len(self.sequences))
            gaps = [slot for slot, running in enumerate(alive) if not running]
            yield from self._finish(gaps)
            taken = self._admit([*gaps, *range(len(self.sequences), self.slots)])
            self._compact(gaps[taken:])
            changed |= bool(gaps or taken)
            if not taken:
                break
            # Checked again: a response may end with its first token, which frees its slot.
        if changed:
            self.pool.cache.upload_layout()

    def _admit(self, places: Sequence[int]) -> int:
        """Starts waiting responses in the free slots, in order; returns how many slots were taken."""
        inits: list[SlotInit] = []
        for slot in places:
            if (sequence := self._next()) is None:
                break
            inits.append(self._slot_init(slot, sequence))
            self.pool.cache.admit(slot, inits[-1].prompt)
            if slot == len(self.sequences):
                self.sequences.append(sequence)
                self.counts.append(0)
            self.sequences[slot] = sequence
        if inits:
            self.pool.admit(inits)
        return len(inits)

    def _next(self) -> _Sequence | None:
        """The next response to start: of the first request whose prompt has a place in a prefix group."""
        table = self.pool.cache.table
        state = next((state for state in self.waiting if table.has_place(state.cache)), None)
        if state is None and table.has_place(None):
            state = self._take()
        if state is None:
            return None
        sequence = _Sequence(state, state.unstarted.popleft())
        if not state.unstarted:
            self.waiting.remove(state)
        return sequence

    def _take(self) -> NativeRequestState | None:
        """The next request, now among the waiting ones."""
        state = next(self.untaken, None)
        if state is not None:
            self.waiting.append(state)
        return state

    def _slot_init(self, slot: int, sequence: _Sequence) -> SlotInit:
        request = sequence.state.request
        uniforms = uniform_stream(
            self.key.seed,
            self.key.step,
            request.prompt.problem_id,
            sequence.index,
            request.sampling.max_tokens,
        )
        return SlotInit(slot, self._prompt_cache(sequence.state), request.sampling, uniforms)

    def _compact(self, gaps: Sequence[int]) -> None:
        """Moves slots in use to the front, so that decode steps leave out those behind."""
        for gap in reversed(gaps):
            last = len(self.sequences) - 1
            if gap != last:
                self.pool.move(last, gap)
                self.sequences[gap], self.counts[gap] = self.sequences[last], self.counts[last]
            self.sequences.pop()
            self.counts.pop()

    def _finish(self, slots: Sequence[int]) -> Iterator[tuple[NativeRequestState, Response]]:
        if not slots:
            return
        written = self.pool.read(slots, [self.counts[slot] for slot in slots])
        sequences = [self.sequences[slot] for slot in slots]
        for slot in slots:
            self.pool.cache.release(slot)
        for sequence, piece in zip(sequences, written, strict=True):
            sequence.state.responses[sequence.index] = self._response(sequence, piece)
            self.finished += 1
            self.sampled_tokens += len(piece.tokens)
        touched = {id(sequence.state): sequence.state for sequence in sequences}
        follow_ups = [self._follow(state) for state in touched.values() if state.complete]
        # At the front: their prompts are cached, and hot responses are the longest.
        self.waiting.extendleft(reversed([state for state in follow_ups if state is not None]))
        for sequence in sequences:
            yield sequence.state, sequence.state.responses[sequence.index]

    def _follow(self, state: NativeRequestState) -> NativeRequestState | None:
        request = self.follow_up(state.group())
        cache, state.cache = state.cache, None
        if request is None:
            return None
        same, limit = request.prompt is state.request.prompt, request.sampling.max_tokens
        if state.is_follow_up or not same or limit > self.width:
            raise ValueError(
                f"{state.request.prompt.problem_id}: a follow-up comes after a request, has its prompt and "
                f"at most {self.width} tokens; this one is of {request.prompt.problem_id}, with {limit}"
            )
        self.total += len(request.indices)
        return NativeRequestState(request, state.place, cache)

    def _response(self, sequence: _Sequence, written: SlotOutput) -> Response:
        # Copies: a view would keep, and pickle, all four records.
        behaviour, policy, entropy, kept = (record.clone() for record in written.records)
        request = sequence.state.request
        return Response(
            problem_id=request.prompt.problem_id,
            index=sequence.index,
            source=request.source,
            tokens=written.tokens,
            behaviour_logprobs=behaviour,
            policy_logprobs=policy,
            entropy=entropy,
            kept_mass=kept,
            truncated=int(written.tokens[-1]) not in self.engine.end_ids,
        )

    def _progress(self) -> Progress:
        return Progress(self.finished, self.total, self.sampled_tokens)
