"""One rank's rollout on a vLLM server: submitted jobs, received responses, follow-ups."""

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
from vlm_uec.rollout.vllm.client import JobResult, VllmClient
from vlm_uec.rollout.vllm.scoring import score_responses
from vlm_uec.types import Group, Response

MAX_PENDING_RESPONSES = 1024  # per rank; prompts of later requests are not encoded yet
POLL_S = 1.0
# Mean |log ratio| of vLLM's model and the policy, in nats, over a rank's rollout: rounding stays far below.
MAX_MISMATCH = {torch.float32: 0.02, torch.bfloat16: 0.5}


@dataclass(frozen=True)
class Scorer:
    """The policy that scores responses, and the settings of its passes."""

    policy: Policy  # with gathered weights
    end_ids: frozenset[int]
    max_positions: int  # of a pass


class VllmRequestState(RequestState):
    """Adds the prompt's picture features, on the CPU."""

    def __init__(
        self, request: Request, request_index: int, features: torch.Tensor, *, is_follow_up: bool = False
    ) -> None:
        super().__init__(request, request_index, is_follow_up=is_follow_up)
        self.features = features


class VllmRollout:
    """The state of one call on one rank: pending jobs, follow-ups, and counts."""

    def __init__(
        self,
        scorer: Scorer,
        client: VllmClient,
        weights: str,
        requests: Iterator[Request],
        total: int,
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp,
    ) -> None:
        """`weights`: digest of the weights that the server must have; `total`: responses requested."""
        self.scorer, self.client, self.weights, self.key = scorer, client, weights, key
        self.banned = scorer.policy.head.banned.cpu()
        self.requests = enumerate(requests)
        self.on_progress, self.follow_up = on_progress, follow_up
        self.pending: dict[int, tuple[VllmRequestState, range]] = {}  # by job number
        self.follow_ups: deque[VllmRequestState] = deque()  # not submitted yet
        self.submitted = 0  # jobs
        self.total, self.finished, self.tokens = total, 0, 0
        self.mismatch = 0.0  # summed over all tokens
        self.last_report = 0.0

    def groups(self) -> Iterator[tuple[VllmRequestState, Group]]:
        """Each group when it is complete. The server keeps sampling while a group is scored."""
        self._report()
        while (submitted := self._submit_next()) or self.pending:
            if time.monotonic() - self.last_report >= POLL_S:
                self._report()  # also without a new result: the callback checks for stop requests
            # Does not wait while there are more jobs to submit, to keep the server busy.
            result = self.client.next_result(0.0 if submitted else POLL_S)
            if result is None:
                continue
            state = self._record(result)
            if state.complete:
                group = state.group()
                self._queue_follow_up(state, group)
                yield state, group
        self._check_mismatch()
        self._report()

    def _report(self) -> None:
        self.last_report = time.monotonic()
        self.on_progress(Progress(self.finished, self.total, self.tokens))

    def _submit_next(self) -> bool:
        """Submits the next request unless too many responses are pending; returns whether it did."""
        if sum(len(run) for _, run in self.pending.values()) >= MAX_PENDING_RESPONSES:
            return False
        state = self.follow_ups.popleft() if self.follow_ups else self._next_request()
        if state is None:
            return False
        for run in _consecutive_runs(state.request.indices):
            self._submit(state, run)
        return True

    def _next_request(self) -> VllmRequestState | None:
        request_index, request = next(self.requests, (0, None))
        if request is None:
            return None
        with torch.no_grad():
            features = self.scorer.policy.prompt_features(request.prompt).cpu()
        return VllmRequestState(request, request_index, features)

    def _submit(self, state: VllmRequestState, run: range) -> None:
        self.submitted += 1
        self.pending[self.submitted] = state, run
        prompt = state.request.prompt
        self.client.submit(
            self.submitted,
            prompt,
            state.features,
            state.request.sampling,
            n=len(run),
            seed=_seed(self.key, prompt.problem_id) + run.start,
            end_ids=self.scorer.end_ids,
            weights=self.weights,
        )

    def _record(self, result: JobResult) -> VllmRequestState:
        """Validates and scores a result, and adds its responses to the request's."""
        if result.number not in self.pending:
            raise self.client.reject(f"returns a result for job {result.number}, which is not pending")
        state, run = self.pending.pop(result.number)
        request = state.request
        self._validate(result, request, len(run))
        scorer = self.scorer
        scores = score_responses(
            scorer.policy,
            request.prompt,
            state.features,
            result.tokens,
            request.sampling,
            scorer.max_positions,
        )
        for index, score, logprobs in zip(run, scores, result.logprobs, strict=True):
            response = _response(request, index, score, logprobs, scorer.end_ids)
            assert response.mismatch is not None
            state.responses[index] = response
            self.finished += 1
            self.tokens += len(response.tokens)
            self.mismatch += float(response.mismatch.abs().sum())
        return state

    def _validate(self, result: JobResult, request: Request, n: int) -> None:
        """Raises `RunFailed` if a result does not match its request: scoring would crash on it."""
        limit = request.sampling.max_tokens
        if len(result.tokens) != n or not all(1 <= len(tokens) <= limit for tokens in result.tokens):
            raise self.client.reject(f"{request.prompt.problem_id}: not {n} responses of 1 to {limit} tokens")
        tokens, logprobs = torch.cat(result.tokens), torch.cat(result.logprobs)
        if tokens.min() < 0 or tokens.max() >= len(self.banned) or self.banned[tokens].any():
            raise self.client.reject(
                f"{request.prompt.problem_id}: a sampled token is banned or not in the vocabulary"
            )
        if not logprobs.isfinite().all():
            raise self.client.reject(f"{request.prompt.problem_id}: a log-prob is not finite")

    def _queue_follow_up(self, state: VllmRequestState, group: Group) -> None:
        request = self.follow_up(group)
        if request is None:
            return
        if state.is_follow_up or request.prompt is not state.request.prompt:
            raise ValueError(
                f"{group.prompt.problem_id}: a follow-up must follow a request and have the same prompt"
            )
        self.total += len(request.indices)
        self.follow_ups.append(
            VllmRequestState(request, state.request_index, state.features, is_follow_up=True)
        )

    def _check_mismatch(self) -> None:
        mean = self.mismatch / max(1, self.tokens)
        limit = MAX_MISMATCH[self.scorer.policy.head.weight.dtype]
        if mean > limit:
            raise self.client.reject(
                f"its log-probs are {mean:.3g} nats from the policy's on average, over {self.tokens} tokens, "
                f"and rounding explains less than {limit:g}: it samples from another model"
            )


def _response(
    request: Request, index: int, score: Sampled, logprobs: torch.Tensor, end_ids: frozenset[int]
) -> Response:
    """`logprobs` [R]: the server's. Those of a greedy response are 0, as in the native engine."""
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
        truncated=int(score.tokens[-1]) not in end_ids,
        mismatch=behaviour - score.behaviour_logprobs,
    )


def _seed(key: StreamKey, problem_id: str) -> int:
    """The seed of a problem's response 0; response i adds i."""
    return int(keyed_generator(key.seed, key.step, problem_id).integers(2**62))


def _consecutive_runs(indices: Sequence[int]) -> Iterator[range]:
    """Splits indices into runs of consecutive numbers; each run is one job."""
    start = 0
    for end in range(1, len(indices) + 1):
        if end == len(indices) or indices[end] != indices[end - 1] + 1:
            yield range(indices[start], indices[end - 1] + 1)
            start = end
