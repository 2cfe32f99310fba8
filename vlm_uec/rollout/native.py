"""In-process sampling on the policy's own (gathered) weights, in one pool of decode slots.

A prompt is prefilled once, whatever is sampled from it. A response that ends gives its slot to the next one
waiting; what a finished group asks for (exploration) joins the same pool on the same cached prompt. No
collective call happens inside, so ranks may differ in length.
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
    """Samples with the policy given; the caller sees to it that its weights are whole (not sharded)."""

    def __init__(
        self, policy: Policy, end_ids: frozenset[int], slots: int | None, prompt_tokens: int = 0
    ) -> None:
        """`slots`: responses decoded at a time; None: what free memory holds.

        `prompt_tokens`: of the longest prompt there is. On a CPU all are read at that length, or the last
        bits of a row could follow the longest prompt of its rollout.
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
        """Requests' groups, then follow-ups'; responses in index order. Deterministic for a key on CPU."""
        if not requests:
            return []
        rollout = _Rollout(self, iter(requests), RolloutShape.of(requests), key, on_progress, follow_up)
        groups = {order.number: order.group() for order, _ in rollout.responses() if order.complete}
        return [groups[number] for number in sorted(groups)]

    @torch.inference_mode()
    def stream(
        self, requests: Iterable[Request], shape: RolloutShape, key: StreamKey, on_progress: OnProgress
    ) -> Iterator[Response]:
        """Every response as it ends; on CPU the same ones in whatever portions they are asked for."""
        if shape.responses:
            rollout = _Rollout(self, iter(requests), shape, key, on_progress, nothing_more)
            for _, response in rollout.responses():
                yield response

    def prefill(self, prompt: EncodedPrompt) -> PromptCache:
        """The prompt's keys, values and last logits, from one pass of its own."""
        device = self.policy.head.weight.device
        features = self.policy.picture_features(prompt)
        embeddings = self.policy.embed(prompt.input_ids.to(device), features)
        attention = PrefillAttention()
        hidden = self.policy.hidden_states(embeddings, prompt.position_ids.to(device), attention)
        logits = self.policy.logits(hidden[-1:])
        return PromptCache(tuple(attention.keys), tuple(attention.values), logits, prompt.next_position)


@dataclass(frozen=True)
class _Sequence:
    """A response in the making: its order, and its index within that."""

    order: NativeRequestState
    index: int


class NativeRequestState(RequestState):
    """Its prompt's cache until the group is complete, and which responses have no slot yet."""

    def __init__(self, request: Request, place: int, cache: PromptCache | None = None) -> None:
        """A follow-up has the cache of what it follows."""
        super().__init__(request, place, is_follow_up=cache is not None)
        self.cache = cache
        self.unstarted = deque(request.indices)


class _Rollout:
    """The state of one call on the host: who waits, who has which slot."""

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
        self.orders = (NativeRequestState(request, place) for place, request in enumerate(requests))
        self.waiting: deque[NativeRequestState] = (
            deque()
        )  # those with unstarted responses, of the requests taken so far
        self.total, self.finished, self.sampled_tokens = shape.responses, 0, 0
        self.width = shape.max_tokens
        like = self._first_cache()
        if not like.logits.is_cuda:
            shape = replace(shape, prompt_tokens=max(shape.prompt_tokens, engine.prompt_tokens))
        size = pool_size(engine.slots, shape, like)
        self.pool = Pool(engine.policy, engine.end_ids, size, like)
        self.runner = StepRunner(self.pool)
        self.slots = size.slots
        self.drafts: list[_Sequence] = []  # of slots 0, 1, ...: those in use come first
        self.counts: list[int] = []  # tokens each had when the host last looked

    def responses(self) -> Iterator[tuple[NativeRequestState, Response]]:
        """Each response as it ends, and the order it belongs to: refills slots, then decodes."""
        reported = time.monotonic()
        while True:
            yield from self._refill()
            if not self.drafts:
                break
            self.runner.run(len(self.drafts), max(self.counts))
            if time.monotonic() - reported >= REPORT_EVERY_S:
                self.on_progress(self._progress())
                reported = time.monotonic()
        self.on_progress(self._progress())

    def _first_cache(self) -> PromptCache:
        order = self._take()
        if order is None:
            raise ValueError("a rollout needs a request")
        return self._prompt_cache(order)

    def _prompt_cache(self, order: NativeRequestState) -> PromptCache:
        if order.cache is None:
            order.cache = self.engine.prefill(order.request.prompt)
        return order.cache

    def _refill(self) -> Iterator[tuple[NativeRequestState, Response]]:
        """Takes out what has ended, asks for what follows from it, and fills the gaps or closes them."""
        changed = False
        while True:
            alive, self.counts = self.pool.state(len(self.drafts))
            gaps = [slot for slot, going in enumerate(alive) if not going]
            yield from self._finish(gaps)
            taken = self._admit([*gaps, *range(len(self.drafts), self.slots)])
            self._compact(gaps[taken:])
            changed |= bool(gaps or taken)
            if not taken:
                break
            # Looked at again: a response may end with its first token, and its slot is free once more.
        if changed:
            self.pool.cache.seated()

    def _admit(self, places: Sequence[int]) -> int:
        """Gives those who wait the free places, in order; how many were taken."""
        entries: list[SlotInit] = []
        for slot in places:
            if (draft := self._next()) is None:
                break
            entries.append(self._slot_init(slot, draft))
            self.pool.cache.admit(slot, entries[-1].prompt)
            if slot == len(self.drafts):
                self.drafts.append(draft)
                self.counts.append(0)
            self.drafts[slot] = draft
        if entries:
            self.pool.admit(entries)
        return len(entries)

    def _next(self) -> _Sequence | None:
        """The next response to start: of the first order for whose prompt there is a lane."""
        table = self.pool.cache.table
        order = next((order for order in self.waiting if table.has_room(order.cache)), None)
        if order is None and table.has_room(None):
            order = self._take()
        if order is None:
            return None
        draft = _Sequence(order, order.unstarted.popleft())
        if not order.unstarted:
            self.waiting.remove(order)
        return draft

    def _take(self) -> NativeRequestState | None:
        """The next request's order, now among those that wait."""
        order = next(self.orders, None)
        if order is not None:
            self.waiting.append(order)
        return order

    def _slot_init(self, slot: int, draft: _Sequence) -> SlotInit:
        request = draft.order.request
        uniforms = uniform_stream(
            self.key.seed,
            self.key.step,
            request.prompt.problem_id,
            draft.index,
            request.sampling.max_tokens,
        )
        return SlotInit(slot, self._prompt_cache(draft.order), request.sampling, uniforms)

    def _compact(self, gaps: Sequence[int]) -> None:
        """Slots in use stay in front, for a decode step to leave out those behind."""
        for gap in reversed(gaps):
            last = len(self.drafts) - 1
            if gap != last:
                self.pool.move(last, gap)
                self.drafts[gap], self.counts[gap] = self.drafts[last], self.counts[last]
            self.drafts.pop()
            self.counts.pop()

    def _finish(self, slots: Sequence[int]) -> Iterator[tuple[NativeRequestState, Response]]:
        if not slots:
            return
        written = self.pool.read(slots, [self.counts[slot] for slot in slots])
        drafts = [self.drafts[slot] for slot in slots]
        for slot in slots:
            self.pool.cache.release(slot)
        for draft, piece in zip(drafts, written, strict=True):
            draft.order.responses[draft.index] = self._response(draft, piece)
            self.finished += 1
            self.sampled_tokens += len(piece.tokens)
        touched = {id(draft.order): draft.order for draft in drafts}
        followers = [self._follow(order) for order in touched.values() if order.complete]
        # In front: their prompts are cached, and hot responses are the longest.
        self.waiting.extendleft(reversed([order for order in followers if order is not None]))
        for draft in drafts:
            yield draft.order, draft.order.responses[draft.index]

    def _follow(self, order: NativeRequestState) -> NativeRequestState | None:
        request = self.follow_up(order.group())
        cache, order.cache = order.cache, None
        if request is None:
            return None
        same, limit = request.prompt is order.request.prompt, request.sampling.max_tokens
        if order.is_follow_up or not same or limit > self.width:
            raise ValueError(
                f"{order.request.prompt.problem_id}: a follow-up comes after a request, has its prompt and "
                f"at most {self.width} tokens; this one is of {request.prompt.problem_id}, with {limit}"
            )
        self.total += len(request.indices)
        return NativeRequestState(request, order.place, cache)

    def _response(self, draft: _Sequence, written: SlotOutput) -> Response:
        # Copies: a view would be pickled, and kept, with all four records.
        behaviour, policy, entropy, kept = (record.clone() for record in written.records)
        request = draft.order.request
        return Response(
            problem_id=request.prompt.problem_id,
            index=draft.index,
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
