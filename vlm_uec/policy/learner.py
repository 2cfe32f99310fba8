"""Scoring a batch and updating on it: the passes over trajectories, by mini-batch and micro-batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from vlm_uec.algorithm.entropy import covariance_terms
from vlm_uec.algorithm.losses import (
    KL_ESTIMATORS,
    SurrogateTerms,
    clipped_surrogate,
    token_weights,
    truncated_importance_weights,
)
from vlm_uec.algorithm.pending import by_prompt, minibatches
from vlm_uec.config import LossConfig
from vlm_uec.data.collator import PackedBatch, Row, pack
from vlm_uec.distributed import gather_objects, rank, sum_over_ranks, world_size
from vlm_uec.policy.plan import MicroBatch, plan_minibatch
from vlm_uec.policy.zero import ZeroPolicy, ZeroReference
from vlm_uec.types import EncodedPrompt, ScoredTrajectory, Trajectory


@dataclass(frozen=True)
class PromptTable:
    """Prompts by problem id: every length on every rank, the encoding itself when it is asked for."""

    tokens: Mapping[str, int]
    encode: Callable[[str], EncodedPrompt]


@dataclass(frozen=True)
class UpdateStats:
    """One mini-batch's optimizer step, over all ranks."""

    grad_norm: float
    policy_loss: float
    kl_loss: float | None  # None where there is no reference
    kl: float | None  # mean a token
    clipped_low: float  # share of tokens
    clipped_high: float
    ratio_mean: float
    ratio_max: float
    covariance: Mapping[str, float]  # by source: mean of (log pi + H) * advantage
    trajectories: int
    tokens: int  # prompt and response tokens of every trajectory
    unique_tokens: int  # with each row's prompt counted once


class Learner:
    """Runs score and update passes over the ranks; every rank calls every method with the same batch."""

    def __init__(
        self,
        policy: ZeroPolicy,
        reference: ZeroReference | None,
        prompts: PromptTable,
        loss: LossConfig,
        *,
        minibatch: int,
        budget: int,
    ) -> None:
        """`minibatch` in trajectories; `budget` in packed positions of a forward pass."""
        self.policy, self.reference, self.prompts, self.loss = policy, reference, prompts, loss
        self.minibatch, self.budget = minibatch, budget

    def old_logprobs(self, batch: Sequence[Trajectory]) -> list[torch.Tensor]:
        """Log-probs [R] of each trajectory under the policy as it stands, t = 1."""
        return self._score(batch, lambda packed: self.policy.score(packed)[0])

    def reference_logprobs(self, batch: Sequence[Trajectory]) -> Sequence[torch.Tensor | None]:
        """Log-probs [R] of each trajectory under the frozen policy; Nones where there is none."""
        if self.reference is None:
            return [None] * len(batch)
        return self._score(batch, self.reference.score)

    def update(self, batch: Sequence[ScoredTrajectory], *, replayed: bool) -> list[UpdateStats]:
        """One optimizer step a mini-batch, in FIFO order."""
        return [self._update_minibatch(part, replayed) for part in self._minibatches(batch)]

    def _minibatches(self, batch: Sequence[ScoredTrajectory]) -> list[list[ScoredTrajectory]]:
        return [
            [item for group in by_prompt(part) for item in group]
            for part in minibatches(batch, self.minibatch)
        ]

    def _score(
        self, batch: Sequence[Trajectory], score: Callable[[PackedBatch], torch.Tensor]
    ) -> list[torch.Tensor]:
        places = {trajectory.key: place for place, trajectory in enumerate(batch)}
        mine: dict[int, torch.Tensor] = {}
        for part in minibatches(batch, self.minibatch):
            # The same rows as in the update, so the first update's ratio is exactly 1.
            grouped = [trajectory for group in by_prompt(part) for trajectory in group]
            for micro in self._plan(grouped):
                scored = score(self._pack(micro, grouped)).float().cpu()
                members = [grouped[member] for member in micro.members]
                pieces = scored.split([len(member.response.tokens) for member in members])
                if not micro.filler:
                    mine |= {places[m.key]: piece for m, piece in zip(members, pieces, strict=True)}
        together: dict[int, torch.Tensor] = {}
        for share in gather_objects(mine):
            together |= share
        return [together[place] for place in range(len(batch))]

    def _plan(self, trajectories: Sequence[Trajectory]) -> list[MicroBatch]:
        return plan_minibatch(trajectories, self.prompts.tokens, world_size(), self.budget)[rank()]

    def _pack(self, micro: MicroBatch, trajectories: Sequence[Trajectory]) -> PackedBatch:
        return pack(
            [
                Row(
                    self.prompts.encode(row.problem_id),
                    tuple(trajectories[member].response.tokens for member in row.members),
                )
                for row in micro.rows
            ]
        )

    def _update_minibatch(self, batch: Sequence[ScoredTrajectory], replayed: bool) -> UpdateStats:
        trajectories = [item.trajectory for item in batch]
        lengths = [len(trajectory.response.tokens) for trajectory in trajectories]
        weights = token_weights(lengths, self.loss.aggregation)
        sums: dict[str, float] = defaultdict(float)
        ratio_max = 0.0
        for micro in self._plan(trajectories):
            items = [batch[member] for member in micro.members]
            terms = _TokenTerms.of(items, [weights[member] for member in micro.members], self.policy.device)
            logprobs, entropy = self.policy.forward(self._pack(micro, trajectories))
            surrogate, kl = self._terms(logprobs, terms)
            share = terms.weight * (0.0 if micro.filler else 1.0)
            policy_loss, kl_loss = (surrogate.loss * share).sum(), self.loss.kl_coef * (kl * share).sum()
            self.policy.backward((policy_loss + kl_loss) * world_size())
            if not micro.filler:
                sums["policy_loss"] += policy_loss.item()
                sums["kl_loss"] += kl_loss.item()
                ratio_max = max(ratio_max, surrogate.ratio.max().item())
                covariance = covariance_terms(logprobs.detach(), entropy.detach(), terms.advantage)
                _add_sums(sums, items, surrogate, kl)
                _add_covariance(sums, items, covariance, replayed)
                sums["unique_tokens"] += sum(row.length for row in micro.rows) + len(items)
        grad_norm = self.policy.step()
        return self._stats(sum_over_ranks(sums), max(gather_objects(ratio_max)), grad_norm, trajectories)

    def _terms(self, logprobs: torch.Tensor, terms: _TokenTerms) -> tuple[SurrogateTerms, torch.Tensor]:
        surrogate = clipped_surrogate(
            logprobs,
            terms.old,
            terms.advantage,
            clip_low=self.loss.clip_low,
            clip_high=self.loss.clip_high,
            dual_clip=self.loss.dual_clip,
        )
        if self.loss.importance_cap is not None:
            importance = truncated_importance_weights(terms.old, terms.behaviour, self.loss.importance_cap)
            surrogate = SurrogateTerms(**{**vars(surrogate), "loss": surrogate.loss * importance})
        if terms.reference is None:
            return surrogate, torch.zeros_like(logprobs)
        return surrogate, KL_ESTIMATORS[self.loss.kl_estimator](logprobs, terms.reference)

    def _stats(
        self,
        sums: Mapping[str, float],
        ratio_max: float,
        grad_norm: float,
        trajectories: Sequence[Trajectory],
    ) -> UpdateStats:
        tokens = sums["tokens"]
        prompt_tokens = sum(self.prompts.tokens[t.response.problem_id] for t in trajectories)
        prefix = "covariance/"
        covariance = {
            key.removeprefix(prefix): value / sums["tokens/" + key.removeprefix(prefix)]
            for key, value in sums.items()
            if key.startswith(prefix)
        }
        return UpdateStats(
            grad_norm=grad_norm,
            policy_loss=sums["policy_loss"],
            kl_loss=None if self.reference is None else sums["kl_loss"],
            kl=None if self.reference is None else sums["kl"] / tokens,
            clipped_low=sums["clipped_low"] / tokens,
            clipped_high=sums["clipped_high"] / tokens,
            ratio_mean=sums["ratio"] / tokens,
            ratio_max=ratio_max,
            covariance=covariance,
            trajectories=len(trajectories),
            tokens=prompt_tokens + int(tokens),
            unique_tokens=int(sums["unique_tokens"]),
        )


@dataclass(frozen=True)
class _TokenTerms:
    """What the loss needs beside the new log-probs, token by token ([T] each)."""

    advantage: torch.Tensor
    weight: torch.Tensor
    old: torch.Tensor
    behaviour: torch.Tensor
    reference: torch.Tensor | None

    @classmethod
    def of(
        cls, items: Sequence[ScoredTrajectory], weights: Sequence[float], device: torch.device
    ) -> _TokenTerms:
        def spread(values: Sequence[float]) -> torch.Tensor:
            counts = torch.tensor([len(item.trajectory.response.tokens) for item in items])
            return torch.tensor(values, dtype=torch.float32).repeat_interleave(counts).to(device)

        references = [item.reference_logprobs for item in items if item.reference_logprobs is not None]
        return cls(
            advantage=spread([item.trajectory.advantage for item in items]),
            weight=spread(weights),
            old=torch.cat([item.old_logprobs for item in items]).to(device),
            behaviour=torch.cat([item.trajectory.response.behaviour_logprobs for item in items]).to(device),
            reference=torch.cat(references).to(device) if references else None,
        )


def _add_sums(
    sums: dict[str, float],
    items: Sequence[ScoredTrajectory],
    surrogate: SurrogateTerms,
    kl: torch.Tensor,
) -> None:
    sums["tokens"] += len(kl)
    sums["kl"] += kl.sum().item()
    sums["ratio"] += surrogate.ratio.sum().item()
    sums["clipped_low"] += surrogate.clipped_low.sum().item()
    sums["clipped_high"] += surrogate.clipped_high.sum().item()


def _add_covariance(
    sums: dict[str, float], items: Sequence[ScoredTrajectory], covariance: torch.Tensor, replayed: bool
) -> None:
    lengths = [len(item.trajectory.response.tokens) for item in items]
    for item, piece in zip(items, covariance.split(lengths), strict=True):
        source = "replay" if replayed else item.trajectory.response.source
        sums[f"covariance/{source}"] += piece.sum().item()
        sums[f"tokens/{source}"] += len(piece)
