"""One rank's rollout at a vLLM server: what is ordered, what came, what follows from it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from vlm_uec.model.policy import Policy
from vlm_uec.rng import keyed_generator
from vlm_uec.rollout.engine import FollowUp, OnProgress, Progress, Request, RequestState, StreamKey
from vlm_uec.rollout.sampling import Sampled
from vlm_uec.rollout.vllm.client import Answer, Link
from vlm_uec.rollout.vllm.scoring import score_responses
from vlm_uec.types import Group, Response

ORDERED = 1024  # responses that a rank has ordered at a time; what more it wants is not encoded yet
LISTEN_S = 1.0
# Mean |log ratio| of vLLM's model and the policy, in nats, over a rank's rollout: rounding is far below.
MAX_MISMATCH = {torch.float32: 0.02, torch.bfloat16: 0.5}


@dataclass(frozen=True)
class Scorer:
    """Who says what the policy thinks of a response."""

    policy: Policy  # whole weights
    end_ids: frozenset[int]
    room: int  # positions of a pass


class VllmRequestState(RequestState):
    """With its prompt's picture features, on the CPU."""

    def __init__(
        self, request: Request, place: int, features: torch.Tensor, *, is_follow_up: bool = False
    ) -> None:
        super().__init__(request, place, is_follow_up=is_follow_up)
        self.features = features


class Rollout:
    """The state of one call on one rank: what is ordered, and what came."""

    def __init__(
        self,
        scorer: Scorer,
        link: Link,
        weights: str,
        requests: Iterator[Request],
        total: int,
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp,
    ) -> None:
        """`weights`: the digest of those that the server must have; `total`: responses requested."""
        self.scorer, self.link, self.weights, self.key = scorer, link, weights, key
        self.banned = scorer.policy.head.banned.cpu()
        self.requests = enumerate(requests)
        self.on_progress, self.follow_up = on_progress, follow_up
        self.pending: dict[int, tuple[VllmRequestState, range]] = {}  # by the number of the order
        self.waiting: deque[VllmRequestState] = deque()  # follow-ups
        self.sent = 0
        self.total, self.finished, self.tokens = total, 0, 0
        self.mismatch = 0.0  # summed over all tokens
        self.reported = 0.0

    def groups(self) -> Iterator[tuple[VllmRequestState, Group]]:
        """Each group when its last response came, the server never waiting for what is done with it."""
        self._report()
        while (ordered := self._order_one()) or self.pending:
            if time.monotonic() - self.reported >= LISTEN_S:
                self._report()  # even where nothing came: whoever wants the run to stop is heard there
            # While there is more to order, only what came already: the server should not run dry.
            answer = self.link.answer(0.0 if ordered else LISTEN_S)
            if answer is None:
                continue
            order = self._take(answer)
            if order.complete:
                group = order.group()
                self._follow(order, group)
                yield order, group
        self._check_mismatch()
        self._report()

    def _report(self) -> None:
        self.reported = time.monotonic()
        self.on_progress(Progress(self.finished, self.total, self.tokens))

    def _order_one(self) -> bool:
        """Sends one more order, where there is one and room for it."""
        if sum(len(run) for _, run in self.pending.values()) >= ORDERED:
            return False
        order = self.waiting.popleft() if self.waiting else self._next()
        if order is None:
            return False
        for run in _runs(order.request.indices):
            self._send(order, run)
        return True

    def _next(self) -> VllmRequestState | None:
        place, request = next(self.requests, (0, None))
        if request is None:
            return None
        with torch.no_grad():
            features = self.scorer.policy.prompt_features(request.prompt).cpu()
        return VllmRequestState(request, place, features)

    def _send(self, order: VllmRequestState, run: range) -> None:
        self.sent += 1
        self.pending[self.sent] = order, run
        prompt = order.request.prompt
        self.link.order(
            self.sent,
            prompt,
            order.features,
            order.request.sampling,
            n=len(run),
            seed=_seed(self.key, prompt.problem_id) + run.start,
            ends=self.scorer.end_ids,
            weights=self.weights,
        )

    def _take(self, answer: Answer) -> VllmRequestState:
        """Scores what came, and files it."""
        if answer.number not in self.pending:
            raise self.link.distrusted(f"answers an order {answer.number} that it does not have")
        order, run = self.pending.pop(answer.number)
        request = order.request
        self._check(answer, request, len(run))
        scorer = self.scorer
        scores = score_responses(
            scorer.policy, request.prompt, order.features, answer.tokens, request.sampling, scorer.room
        )
        for index, score, logprobs in zip(run, scores, answer.logprobs, strict=True):
            response = _response(request, index, score, logprobs, scorer.end_ids)
            assert response.mismatch is not None
            order.responses[index] = response
            self.finished += 1
            self.tokens += len(response.tokens)
            self.mismatch += float(response.mismatch.abs().sum())
        return order

    def _check(self, answer: Answer, request: Request, n: int) -> None:
        """Raises `RunFailed` where an answer cannot be one to the request: the policy would crash on it."""
        limit = request.sampling.max_tokens
        if len(answer.tokens) != n or not all(1 <= len(tokens) <= limit for tokens in answer.tokens):
            raise self.link.distrusted(
                f"{request.prompt.problem_id}: not {n} responses of 1 to {limit} tokens"
            )
        tokens, logprobs = torch.cat(answer.tokens), torch.cat(answer.logprobs)
        if tokens.min() < 0 or tokens.max() >= len(self.banned) or self.banned[tokens].any():
            raise self.link.distrusted(f"{request.prompt.problem_id}: a sampled token is banned, or no token")
        if not logprobs.isfinite().all():
            raise self.link.distrusted(f"{request.prompt.problem_id}: a log-prob is not finite")

    def _follow(self, order: VllmRequestState, group: Group) -> None:
        request = self.follow_up(group)
        if request is None:
            return
        if order.is_follow_up or request.prompt is not order.request.prompt:
            raise ValueError(f"{group.prompt.problem_id}: a follow-up comes after a request, with its prompt")
        self.total += len(request.indices)
        self.waiting.append(VllmRequestState(request, order.place, order.features, is_follow_up=True))

    def _check_mismatch(self) -> None:
        mean = self.mismatch / max(1, self.tokens)
        most = MAX_MISMATCH[self.scorer.policy.head.weight.dtype]
        if mean > most:
            raise self.link.distrusted(
                f"its log-probs are {mean:.3g} nats from the policy's on average, over {self.tokens} tokens, "
                f"and rounding explains less than {most:g}: it samples from another model"
            )


def _response(
    request: Request, index: int, score: Sampled, logprobs: torch.Tensor, ends: frozenset[int]
) -> Response:
    """`logprobs` [R]: the server's. A greedy response has none, as in the native engine: it was certain."""
    greedy = request.sampling.temperature == 0
    behaviour = torch.zeros_like(logprobs) if greedy else logprobs.clone()
    return Response(
        problem_id=request.prompt.problem_id,
        index=index,
        source=request.source,
        tokens=score.tokens,
        behaviour_logprobs=behaviour,
        policy_logprobs=score.policy_logprobs,
        entropy=score.entropy,
        kept_mass=score.kept_mass,
        truncated=int(score.tokens[-1]) not in ends,
        mismatch=behaviour - score.behaviour_logprobs,
    )


def _seed(key: StreamKey, problem_id: str) -> int:
    """Of a problem's response 0; the others count on."""
    return int(keyed_generator(key.seed, key.step, problem_id).integers(2**62))


def _runs(indices: Sequence[int]) -> Iterator[range]:
    """Indices as runs of consecutive ones, each of which is one order."""
    start = 0
    for place in range(1, len(indices) + 1):
        if place == len(indices) or indices[place] != indices[place - 1] + 1:
            yield range(indices[start], indices[place - 1] + 1)
            start = place
