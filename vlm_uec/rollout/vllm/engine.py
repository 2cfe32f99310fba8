"""Sampling by vLLM: the policy's weights go there when they changed, prompts follow, groups come back.

A group is drawn there and scored here, by the policy itself, while the server goes on with others: so entropy
and the policy's log-probs are exact, and how far vLLM's own log-probs are from them is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from vlm_uec.model.policy import Policy
from vlm_uec.ranks.collectives import gather_lists, rank
from vlm_uec.rollout.engine import FollowUp, OnProgress, Request, RolloutShape, StreamKey, nothing_more
from vlm_uec.rollout.vllm.client import Address, Link, connected
from vlm_uec.rollout.vllm.rollout import Rollout, Scorer, VllmRequestState
from vlm_uec.rollout.vllm.weight_names import language_weights
from vlm_uec.rollout.vllm.weights import BANNED, checksum, checksum_of_ids, digest_of
from vlm_uec.types import Group, Response


class VllmEngine:
    """Every rank samples its own requests from one server; rank 0 sends the weights. The caller sees to it
    that these are whole."""

    def __init__(
        self,
        policy: Policy,
        end_ids: frozenset[int],
        address: Callable[[], Address],
        *,
        room: int,
        patience: float,
    ) -> None:
        """`address`: of the server, asked for when there is something to sample. `room`: positions of a
        scoring pass. `patience`: seconds in which the server must get on."""
        self.policy, self.end_ids = policy, end_ids
        self._address, self._patience = address, patience
        self._scorer = Scorer(policy, end_ids, room)

    def generate(
        self,
        requests: Sequence[Request],
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp = nothing_more,
    ) -> list[Group]:
        """Requests' groups, then follow-ups'; responses in index order. Every rank calls it.

        Raises `RunFailed` where the server is lost, or what it samples from is not the policy.
        """
        total = sum(len(request.indices) for request in requests)
        groups: dict[tuple[bool, int], Group] = {}
        for order, group in self._sample(iter(requests), total, key, on_progress, follow_up):
            groups[order.number] = group
        return [groups[number] for number in sorted(groups)]

    def stream(
        self, requests: Iterable[Request], shape: RolloutShape, key: StreamKey, on_progress: OnProgress
    ) -> Iterator[Response]:
        """Every response when its group is done; every rank calls it, and takes at least the first."""
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
        with connected(self._address(), self._patience) as link:
            rollout = Rollout(self._scorer, link, weights, requests, total, key, on_progress, follow_up)
            yield from rollout.groups()

    @torch.no_grad()
    def _refresh(self) -> str:
        """Sees to it that the server has the policy's weights; their digest, that orders go by."""
        banned = self.policy.head.banned.nonzero()[:, 0].tolist()
        ours = {name: checksum(weight) for name, weight in language_weights(self.policy.model)}
        ours[BANNED] = checksum_of_ids(banned)
        with connected(self._address(), self._patience) as link:
            if link.facts().checksums != ours:
                self._push(link, banned)
            theirs = link.facts().checksums
            if theirs != ours:
                wrong = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
                raise link.distrusted(
                    f"stale weights: after they were sent, {len(wrong)} of {len(ours)} are not the policy's, "
                    f"first {wrong[0]}"
                )
        return digest_of(ours)

    def _push(self, link: Link, banned: Sequence[int]) -> None:
        link.push(language_weights(self.policy.model), banned)
