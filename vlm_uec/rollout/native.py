"""In-process sampling on the policy's gathered weights, in one pool of decode slots.

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
    """Samples with the given policy, whose weights must be gathered (not sharded) during a call."""

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
        """Every response when it ends; on a CPU independent of how the requests are split into calls."""
        if shape.responses:
            rollout = _Rollout(self, iter(requests), shape, key, on_progress, nothing_more)
            for _, response in rollout.responses():
                yield response

    def prefill(self, prompt: EncodedPrompt) -> PromptCache:
        """The prompt's keys, values and last logits, from a separate forward pass."""
        device = self.policy.head.weight.device
        features = self.policy.prompt_features(prompt)
        embeddings = self.policy.embed(prompt.input_ids.to(device), features)
        attention = PrefillAttention()
        hidden = self.policy.hidden_states(embeddings, prompt.position_ids.to(device), attention)
        logits = self.policy.logits(hidden[-1:])
        return PromptCache(tuple(attention.keys), tuple(attention.values), logits, prompt.next_position)


@dataclass(frozen=True)
class _Sequence:
    """A response being decoded: its request and its index."""

    state: NativeRequestState
    index: int


class NativeRequestState(RequestState):
    """Adds the prompt's cache, until the group is complete, and the responses that have not started."""

    def __init__(self, request: Request, request_index: int, cache: PromptCache | None = None) -> None:
        """`cache`: given for a follow-up, from the request it follows."""
        super().__init__(request, request_index, is_follow_up=cache is not None)
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
        self.requests = (NativeRequestState(request, index) for index, request in enumerate(requests))
        self.waiting: deque[NativeRequestState] = deque()  # consumed requests with unstarted responses
        self.total, self.finished, self.sampled_tokens = shape.responses, 0, 0
        self.width = shape.max_tokens
        like = self._first_cache()
        if not like.logits.is_cuda:
            shape = replace(shape, prompt_tokens=max(shape.prompt_tokens, engine.prompt_tokens))
        size = pool_size(engine.slots, shape, like)
        self.pool = Pool(engine.policy, engine.end_ids, size, like)
        self.runner = StepRunner(self.pool)
        self.slots = size.slots
        self.sequences: list[_Sequence] = []  # of slots 0, 1, ...: slots in use come first
        self.counts: list[int] = []  # tokens of each when the host last read the state

    def responses(self) -> Iterator[tuple[NativeRequestState, Response]]:
        """Each response when it ends, with its request; alternates between refilling slots and decoding."""
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
        state = self._next_request()
        if state is None:
            raise ValueError("a rollout needs at least one request")
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
            started = self._admit([*gaps, *range(len(self.sequences), self.slots)])
            self._compact(gaps[started:])
            changed |= bool(gaps or started)
            if not started:
                break
            # Repeats: a response may end with its first token, which frees its slot.
        if changed:
            self.pool.cache.upload_layout()

    def _admit(self, free_slots: Sequence[int]) -> int:
        """Starts waiting responses in the free slots, in order; returns the number of started responses."""
        inits: list[SlotInit] = []
        for slot in free_slots:
            if (sequence := self._next_sequence()) is None:
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

    def _next_sequence(self) -> _Sequence | None:
        """The next response to start: from the first request whose prompt fits into a prefix group."""
        table = self.pool.cache.table
        state = next((state for state in self.waiting if table.can_assign(state.cache)), None)
        if state is None and table.can_assign(None):
            state = self._next_request()
        if state is None:
            return None
        sequence = _Sequence(state, state.unstarted.popleft())
        if not state.unstarted:
            self.waiting.remove(state)
        return sequence

    def _next_request(self) -> NativeRequestState | None:
        """Consumes the next request and adds it to the waiting ones."""
        state = next(self.requests, None)
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
        """Moves slots in use to the front, so that decode steps skip the others."""
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
        outputs = self.pool.read(slots, [self.counts[slot] for slot in slots])
        sequences = [self.sequences[slot] for slot in slots]
        for slot in slots:
            self.pool.cache.release(slot)
        for sequence, output in zip(sequences, outputs, strict=True):
            sequence.state.responses[sequence.index] = self._response(sequence, output)
            self.finished += 1
            self.sampled_tokens += len(output.tokens)
        updated = {id(sequence.state): sequence.state for sequence in sequences}
        follow_ups = [self._follow_up(state) for state in updated.values() if state.complete]
        # At the front: their prompts are cached, and responses at a high temperature are the longest.
        self.waiting.extendleft(reversed([state for state in follow_ups if state is not None]))
        for sequence in sequences:
            yield sequence.state, sequence.state.responses[sequence.index]

    def _follow_up(self, state: NativeRequestState) -> NativeRequestState | None:
        """The follow-up of a complete group, if it has one; frees the prompt's cache otherwise."""
        request = self.follow_up(state.group())
        cache, state.cache = state.cache, None
        if request is None:
            return None
        same_prompt, limit = request.prompt is state.request.prompt, request.sampling.max_tokens
        if state.is_follow_up or not same_prompt or limit > self.width:
            raise ValueError(
                f"{state.request.prompt.problem_id}: a follow-up must follow a request and have the same "
                f"prompt and at most {self.width} tokens; this one is for {request.prompt.problem_id}, with "
                f"{limit} tokens"
            )
        self.total += len(request.indices)
        return NativeRequestState(request, state.request_index, cache)

    def _response(self, sequence: _Sequence, output: SlotOutput) -> Response:
        # Copies: a view would keep, and pickle, the storage of all four records.
        behaviour, policy, entropy, kept = (record.clone() for record in output.records)
        request = sequence.state.request
        return Response(
            problem_id=request.prompt.problem_id,
            index=sequence.index,
            source=request.source,
            tokens=output.tokens,
            behaviour_logprobs=behaviour,
            policy_logprobs=policy,
            entropy=entropy,
            kept_mass=kept,
            truncated=int(output.tokens[-1]) not in self.engine.end_ids,
        )

    def _progress(self) -> Progress:
        return Progress(self.finished, self.total, self.sampled_tokens)
