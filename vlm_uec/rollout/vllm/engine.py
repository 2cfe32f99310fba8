"""Rollout engine for vLLM: pushes the policy's weights if they changed, then submits prompts.

The server samples a group, and the policy scores it here while the server samples others. Entropy and policy
log-probs are therefore exact, and the mismatch of vLLM's log-probs is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from vlm_uec.model.policy import Policy
from vlm_uec.ranks.collectives import gather_lists, rank
from vlm_uec.rollout.engine import FollowUp, OnProgress, Request, RolloutShape, StreamKey, nothing_more
from vlm_uec.rollout.vllm.client import Address, VllmClient, connect
from vlm_uec.rollout.vllm.rollout import Scorer, VllmRequestState, VllmRollout
from vlm_uec.rollout.vllm.weight_names import language_weights
from vlm_uec.rollout.vllm.weights import BANNED, checksum, checksum_of_ids, weights_digest
from vlm_uec.types import Group, Response


class VllmEngine:
    """Every rank samples its own requests from one server; rank 0 sends the weights.

    The caller must have gathered them.
    """

    def __init__(
        self,
        policy: Policy,
        end_ids: frozenset[int],
        address: Callable[[], Address],
        *,
        max_positions: int,
        stall_timeout: float,
    ) -> None:
        """`address`: returns the server's address; called before each rollout. `max_positions`: of a scoring
        pass. `stall_timeout`: seconds without progress after which the server counts as lost."""
        self.policy, self.end_ids = policy, end_ids
        self._address, self._stall_timeout = address, stall_timeout
        self._scorer = Scorer(policy, end_ids, max_positions)

    def generate(
        self,
        requests: Sequence[Request],
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp = nothing_more,
    ) -> list[Group]:
        """The requests' groups, then the follow-ups'; responses in index order. Every rank calls it.

        Raises `RunFailed` if the server is lost or does not sample from the policy.
        """
        total = sum(len(request.indices) for request in requests)
        groups: dict[tuple[bool, int], Group] = {}
        for state, group in self._sample(iter(requests), total, key, on_progress, follow_up):
            groups[state.number] = group
        return [groups[number] for number in sorted(groups)]

    def stream(
        self, requests: Iterable[Request], shape: RolloutShape, key: StreamKey, on_progress: OnProgress
    ) -> Iterator[Response]:
        """Every response when its group is complete; every rank calls it, and consumes at least the first."""
        for _, group in self._sample(iter(requests), shape.responses, key, on_progress, nothing_more):
            yield from group.responses

    def _sample(
        self,
        requests: Iterator[Request],
        total: int,
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp,
    ) -> Iterator[tuple[VllmRequestState, Group]]:
        self.policy.eval()
        weights = gather_lists(lambda: [self._refresh()] if rank() == 0 else [])[0]
        if not total:
            return
        with connect(self._address(), self._stall_timeout) as client:
            rollout = VllmRollout(self._scorer, client, weights, requests, total, key, on_progress, follow_up)
            yield from rollout.groups()

    @torch.no_grad()
    def _refresh(self) -> str:
        """Sends the policy's weights if the server has others; returns their digest for the jobs."""
        banned = self.policy.head.banned.nonzero()[:, 0].tolist()
        expected = {name: checksum(weight) for name, weight in language_weights(self.policy.model)}
        expected[BANNED] = checksum_of_ids(banned)
        with connect(self._address(), self._stall_timeout) as client:
            if client.facts().checksums != expected:
                self._push(client, banned)
            actual = client.facts().checksums
            if actual != expected:
                stale = [
                    name for name in sorted({*expected, *actual}) if expected.get(name) != actual.get(name)
                ]
                raise client.reject(
                    f"stale weights: after they were sent, {len(stale)} of {len(expected)} are not the "
                    f"policy's, first {stale[0]}"
                )
        return weights_digest(expected)

    def _push(self, client: VllmClient, banned: Sequence[int]) -> None:
        client.push(language_weights(self.policy.model), banned)
