"""Scores batches of trajectories and updates the policy on them, by mini-batch and micro-batch.

Redundant forward passes are skipped. The first mini-batch's new log-probs are also its old ones, because no
update precedes it. Trajectories whose gradient is exactly zero are not processed, but their tokens stay in
the denominator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch

from vlm_uec.algorithm.entropy import covariance_terms, predicted_entropy_change
from vlm_uec.algorithm.kl import token_kl
from vlm_uec.algorithm.losses import SurrogateTerms, covariance_penalty, covariance_selection, entropy_bonus
from vlm_uec.algorithm.objectives import surrogate_terms
from vlm_uec.algorithm.pending import minibatches
from vlm_uec.algorithm.weights import token_weights, truncated_importance_weights
from vlm_uec.config import LossConfig
from vlm_uec.model.packing import PackedBatch, Row, pack
from vlm_uec.ranks.collectives import rank, world_size
from vlm_uec.ranks.columns import gather_union
from vlm_uec.types import EncodedPrompt, ScoredTrajectory, Trajectory
from vlm_uec.update.microbatches import MicroBatch, PassBudget, make_filler, plan_minibatch
from vlm_uec.update.pass_sums import PassSums
from vlm_uec.update.policy import ReferencePolicy, TrainablePolicy

T = TypeVar("T")
LogProbs = torch.Tensor | None
TrajectoryKey = tuple[int, str, int]
SOURCES = ("regular", "exploration")


@dataclass(frozen=True)
class PromptTable:
    """Prompts by problem id: lengths are in memory on every rank, prompts are encoded on demand."""

    tokens: Mapping[str, int]
    encode: Callable[[str], EncodedPrompt]


@dataclass(frozen=True)
class UpdateStats:
    """One mini-batch's optimizer step, over all ranks. Means and fractions are over the processed tokens."""

    grad_norm: float  # NaN if the step was skipped
    policy_loss: float
    kl_loss: float | None  # None without a reference
    kl: float | None  # mean per token
    clipped_low: float  # fraction of tokens
    clipped_high: float
    ratio_mean: float
    ratio_max: float
    covariance: Mapping[str, float]  # by source: mean of (log pi + H) * advantage, over all of its tokens
    entropy_change: float | None  # nats, by this step, of the processed tokens; None if not measured
    entropy_predicted: float | None  # first-order prediction: -lr * covariance of the same tokens
    trajectories: int
    tokens: int  # prompt and response tokens of every trajectory
    unique_tokens: int  # processed tokens, with each row's prompt counted once
    suspects: tuple[str, ...] = ()  # problem ids of a skipped step: its loss or gradient was not finite

    @property
    def skipped(self) -> bool:
        return bool(self.suspects)


@dataclass(frozen=True)
class _Item:
    """A trajectory of a mini-batch with the inputs of its loss."""

    trajectory: Trajectory
    old: LogProbs  # None: use the new ones, detached
    reference: LogProbs
    weight: float = 0.0  # of each token, computed over the whole mini-batch
    selected: torch.Tensor | None = None  # [R] bool: tokens with KL-Cov's penalty


def _no_callback() -> None:
    """The default `on_pass`."""


class Learner:
    """Runs score and update passes over the ranks; every rank calls every method with the same batch."""

    def __init__(
        self,
        policy: TrainablePolicy,
        reference: ReferencePolicy | None,
        prompts: PromptTable,
        loss: LossConfig,
        *,
        minibatch: int,
        max_tokens: int,
        budget: PassBudget,
        on_pass: Callable[[], None] = _no_callback,
        measure_entropy: bool = False,
    ) -> None:
        """`minibatch`: trajectories; `max_tokens`: of a response; `budget`: positions of a forward pass.

        `on_pass` is called after each pass. `measure_entropy`: measure the change of entropy with one more
        pass after each step.
        """
        self.policy, self.reference, self.prompts, self.loss = policy, reference, prompts, loss
        self.minibatch, self.max_tokens = minibatch, max_tokens
        self.budget, self.on_pass, self.measure_entropy = budget, on_pass, measure_entropy

    def old_logprobs(self, batch: Sequence[Trajectory]) -> list[LogProbs]:
        """Log-probs [R] of each trajectory under the current policy, t = 1.

        None for the first mini-batch, whose update computes them, and for trajectories without a gradient.
        """
        later = batch[self.minibatch :]
        return [None] * (len(batch) - len(later)) + self._score(later, lambda p: self.policy.score(p)[0])

    def reference_logprobs(self, batch: Sequence[Trajectory]) -> list[LogProbs]:
        """Log-probs [R] of each trajectory under the reference policy; all None without a reference."""
        if self.reference is None:
            return [None] * len(batch)
        return self._score(batch, self.reference.score)

    def update(
        self,
        batch: Sequence[Trajectory],
        old: Sequence[LogProbs],
        reference: Sequence[LogProbs],
        *,
        needs_scored: bool = True,
    ) -> tuple[list[ScoredTrajectory], list[UpdateStats]]:
        """One optimizer step for each mini-batch, in FIFO order; returns the scored trajectories.

        If a mini-batch's loss or gradient is not finite, its step is skipped and its trajectories left out.
        `needs_scored` False: returns no trajectories, so that no log-probs leave the device.
        """
        items = [_Item(*terms) for terms in zip(batch, old, reference, strict=True)]
        results = [
            self._update_minibatch(part, replayed=False, needs_scored=needs_scored)
            for part in minibatches(items, self.minibatch)
        ]
        return [scored for part, _ in results for scored in part], [stats for _, stats in results]

    def replay(self, batch: Sequence[ScoredTrajectory]) -> list[UpdateStats]:
        """The same update on replayed trajectories, with their stored old log-probs."""
        items = [_Item(item.trajectory, item.old_logprobs, item.reference_logprobs) for item in batch]
        return [
            self._update_minibatch(part, replayed=True, needs_scored=False)[1]
            for part in minibatches(items, self.minibatch)
        ]

    def _has_gradient(self, trajectory: Trajectory) -> bool:
        loss = self.loss
        return trajectory.advantage != 0 or max(loss.kl_coef, loss.entropy_coef, loss.kl_cov_coef) > 0

    def _score(
        self, batch: Sequence[Trajectory], score: Callable[[PackedBatch], torch.Tensor]
    ) -> list[LogProbs]:
        own: dict[TrajectoryKey, torch.Tensor] = {}
        for part in minibatches(batch, self.minibatch):
            active = [trajectory for trajectory in part if self._has_gradient(trajectory)]
            if active:
                own |= self._retry_smaller(active, partial(self._score_minibatch, active, score))
        gathered = gather_union(own)
        return [gathered.get(trajectory.key) for trajectory in batch]

    def _score_minibatch(
        self, active: Sequence[Trajectory], score: Callable[[PackedBatch], torch.Tensor]
    ) -> dict[TrajectoryKey, torch.Tensor]:
        own: dict[TrajectoryKey, torch.Tensor] = {}
        # The same rows as in the update, so that the ratio of an unchanged policy is 1.
        for micro, packed in self._packed(self._plan(active), active):
            scored = score(packed)
            if not micro.filler:
                own |= _split_by_key([active[member] for member in micro.members], scored)
        return own

    def _retry_smaller(self, trajectories: Sequence[Trajectory], run_passes: Callable[[], T]) -> T:
        """Runs passes over the trajectories; after an out-of-memory error, again with half the budget.

        Raises `RunFailed` if the budget cannot be halved.
        """
        while True:
            try:
                return run_passes()
            except torch.OutOfMemoryError as error:
                memory_error = error.with_traceback(None)  # its frames reference the pass's tensors
            self.budget.halve(trajectories, self.prompts.tokens, memory_error)
            self.policy.abandon_pass()
            if self.reference is not None:
                self.reference.abandon_pass()

    def _plan(self, trajectories: Sequence[Trajectory]) -> list[MicroBatch]:
        return plan_minibatch(trajectories, self.prompts.tokens, world_size(), self.budget.positions)[rank()]

    def _packed(
        self, plan: Sequence[MicroBatch], trajectories: Sequence[Trajectory]
    ) -> Iterator[tuple[MicroBatch, PackedBatch]]:
        """Each micro-batch with its packed rows; a frozen tower's features are computed up front."""
        names = list(dict.fromkeys(row.problem_id for micro in plan for row in micro.rows))
        cached = None
        if self.policy.tower_frozen:
            cached = self.policy.frozen_features(names, self.prompts.encode)
        for micro in plan:
            rows = [
                Row(
                    self.prompts.encode(row.problem_id),
                    tuple(trajectories[member].response.tokens for member in row.members),
                )
                for row in micro.rows
            ]
            features = None if cached is None else [cached[row.problem_id] for row in micro.rows]
            yield micro, pack(rows, features)
            self.on_pass()

    def _update_minibatch(
        self, part: Sequence[_Item], *, replayed: bool, needs_scored: bool
    ) -> tuple[list[ScoredTrajectory], UpdateStats]:
        trajectories = [item.trajectory for item in part]
        lengths = [len(t.response.tokens) for t in trajectories]
        weights = token_weights(lengths, self.loss.aggregation, self.max_tokens)
        selected = self._select_tokens(trajectories)
        items = [
            replace(item, weight=weight, selected=tokens)
            for item, weight, tokens in zip(part, weights, selected, strict=True)
        ]
        active = [item for item in items if self._has_gradient(item.trajectory)]
        # A step is made even without a gradient: weight decay and momentum still apply.
        processed = active or items
        processed_trajectories = [item.trajectory for item in processed]
        fillers = [] if active else [make_filler(processed_trajectories, self.prompts.tokens)]
        needs_new = needs_scored and any(item.old is None for item in active)
        accumulate = partial(self._accumulate, processed, fillers, replayed=replayed, needs_new=needs_new)
        new, sums = self._retry_smaller(processed_trajectories, accumulate)
        total, suspects = sums.reduce()
        grad_norm = None
        if suspects:
            self.policy.discard()
        elif (grad_norm := self.policy.step()) is None:
            suspects = sorted({trajectory.response.problem_id for trajectory in processed_trajectories})
        elif self.measure_entropy and active:
            measure = partial(self._measure_entropy, processed_trajectories)
            total["entropy_after"] = self._retry_smaller(processed_trajectories, measure)
        stats = self._stats(total, grad_norm, trajectories, suspects, replayed=replayed)
        if stats.skipped or not needs_scored:
            return [], stats
        return _scored(active, gather_union(new) if needs_new else {}), stats

    def _measure_entropy(self, trajectories: Sequence[Trajectory]) -> float:
        """The current policy's entropy, summed over the tokens of all ranks."""
        sums = PassSums()
        for micro, packed in self._packed(self._plan(trajectories), trajectories):
            entropy = self.policy.score(packed)[1]
            if not micro.filler:
                sums.add("entropy", entropy)
        return sums.reduce()[0]["entropy"]

    def _select_tokens(self, trajectories: Sequence[Trajectory]) -> Sequence[torch.Tensor | None]:
        """KL-Cov's selected tokens of each trajectory, from the whole mini-batch's sampled log-probs.

        The authors' code uses each micro-batch's new log-probs, so its result depends on the packing.
        """
        if not self.loss.kl_cov_coef:
            return [None] * len(trajectories)
        lengths = [len(t.response.tokens) for t in trajectories]
        advantages = torch.tensor([t.advantage for t in trajectories]).repeat_interleave(
            torch.tensor(lengths)
        )
        logprobs = torch.cat([t.response.policy_logprobs for t in trajectories])
        return covariance_selection(logprobs, advantages, self.loss.kl_cov_fraction).split(lengths)

    def _accumulate(
        self, items: Sequence[_Item], fillers: Sequence[MicroBatch], *, replayed: bool, needs_new: bool
    ) -> tuple[dict[TrajectoryKey, torch.Tensor], PassSums]:
        """Forward and backward passes over a mini-batch, or over `fillers`.

        Returns this rank's new log-probs only with `needs_new`: copying them to the CPU stalls a GPU.
        """
        trajectories = [item.trajectory for item in items]
        sums = PassSums()
        new: dict[TrajectoryKey, torch.Tensor] = {}
        for micro, packed in self._packed(fillers or self._plan(trajectories), trajectories):
            members = [items[member] for member in micro.members]
            logprobs = self._micro_batch(packed, members, micro, sums, replayed=replayed)
            if needs_new and not micro.filler:
                new |= _split_by_key([item.trajectory for item in members], logprobs)
        return new, sums

    def _micro_batch(
        self,
        packed: PackedBatch,
        items: Sequence[_Item],
        micro: MicroBatch,
        sums: PassSums,
        *,
        replayed: bool,
    ) -> torch.Tensor:
        """One forward and backward pass; returns the new log-probs [T], detached."""
        logprobs, entropy = self.policy.forward(packed)
        terms = _TokenTerms.of(items, logprobs)
        surrogate, kl = self._surrogate_and_kl(logprobs, terms)
        weight = terms.weight * (0.0 if micro.filler else 1.0)
        policy_loss, kl_loss = (surrogate.loss * weight).sum(), self.loss.kl_coef * (kl * weight).sum()
        loss = policy_loss + kl_loss + (self._entropy_terms(logprobs, entropy, terms) * weight).sum()
        self.policy.backward(loss * world_size())
        if not micro.filler:
            sums.require_finite(loss, (row.problem_id for row in micro.rows))
            covariance = covariance_terms(logprobs.detach(), entropy.detach(), terms.advantage)
            sums.add("policy_loss", policy_loss)
            sums.add("kl_loss", kl_loss)
            sums.add("kl", kl)
            sums.add("ratio", surrogate.ratio)
            if self.measure_entropy:
                sums.add("entropy", entropy)
            sums.add("clipped_low", surrogate.clipped_low)
            sums.add("clipped_high", surrogate.clipped_high)
            for source in ["replay"] if replayed else SOURCES:
                sums.add(f"covariance/{source}", covariance * terms.of_source(source))
            sums.maximum("ratio_max", surrogate.ratio)
            sums.count("processed", len(logprobs))
            sums.count("unique_tokens", sum(row.length for row in micro.rows) + len(items))
        return logprobs.detach()

    def _entropy_terms(
        self, logprobs: torch.Tensor, entropy: torch.Tensor, terms: _TokenTerms
    ) -> torch.Tensor | float:
        """Entropy baselines' additional loss terms, [T]: an entropy bonus, KL-Cov's penalty."""
        loss: torch.Tensor | float = 0.0
        if self.loss.entropy_coef:
            loss = loss + entropy_bonus(entropy, self.loss.entropy_coef)
        if terms.selected is not None:
            loss = loss + covariance_penalty(logprobs, terms.old, terms.selected, self.loss.kl_cov_coef)
        return loss

    def _surrogate_and_kl(
        self, logprobs: torch.Tensor, terms: _TokenTerms
    ) -> tuple[SurrogateTerms, torch.Tensor]:
        loss = self.loss
        surrogate = surrogate_terms(loss, logprobs, terms.old, terms.advantage, terms.lengths)
        if loss.importance_cap is not None:
            importance = truncated_importance_weights(terms.old, terms.behaviour, loss.importance_cap)
            surrogate = replace(surrogate, loss=surrogate.loss * importance)
        if terms.reference is None:
            return surrogate, torch.zeros_like(logprobs)
        return surrogate, token_kl(logprobs, terms.reference, loss.kl_estimator, loss.kl_token_max)

    def _stats(
        self,
        total: Mapping[str, float],
        grad_norm: float | None,
        trajectories: Sequence[Trajectory],
        suspects: Sequence[str],
        *,
        replayed: bool,
    ) -> UpdateStats:
        processed = max(total["processed"], 1.0)
        tokens = dict.fromkeys((*SOURCES, "replay"), 0)
        for trajectory in trajectories:
            source = "replay" if replayed else trajectory.response.source
            tokens[source] += len(trajectory.response.tokens)
        measured = "entropy_after" in total
        change = (total["entropy_after"] - total["entropy"]) / processed
        covariance = sum(total[f"covariance/{source}"] for source in (*SOURCES, "replay")) / processed
        return UpdateStats(
            grad_norm=math.nan if grad_norm is None else grad_norm,
            policy_loss=total["policy_loss"],
            kl_loss=None if self.reference is None else total["kl_loss"],
            kl=None if self.reference is None else total["kl"] / processed,
            clipped_low=total["clipped_low"] / processed,
            clipped_high=total["clipped_high"] / processed,
            # The ratio is 1 if no trajectory was processed.
            ratio_mean=total["ratio"] / processed if total["processed"] else 1.0,
            ratio_max=total["ratio_max"] if total["processed"] else 1.0,
            covariance={
                source: total[f"covariance/{source}"] / count for source, count in tokens.items() if count
            },
            entropy_change=change if measured else None,
            entropy_predicted=predicted_entropy_change(self.policy.lr, covariance) if measured else None,
            trajectories=len(trajectories),
            tokens=sum(self.prompts.tokens[t.response.problem_id] for t in trajectories)
            + sum(tokens.values()),
            unique_tokens=int(total["unique_tokens"]),
            suspects=tuple(suspects),
        )


@dataclass(frozen=True)
class _TokenTerms:
    """Inputs of the loss besides the new log-probs, per token ([T] each)."""

    advantage: torch.Tensor
    weight: torch.Tensor
    old: torch.Tensor
    behaviour: torch.Tensor
    reference: torch.Tensor | None
    explored: torch.Tensor  # bool
    selected: torch.Tensor | None  # bool
    lengths: tuple[int, ...]  # of the responses, in order

    @classmethod
    def of(cls, items: Sequence[_Item], logprobs: torch.Tensor) -> _TokenTerms:
        """`logprobs` [T]: the new ones, which replace missing old ones."""
        device = logprobs.device
        counts = torch.tensor([len(item.trajectory.response.tokens) for item in items])

        def per_token(values: Sequence[float]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32).repeat_interleave(counts).to(device)

        old = [item.old for item in items if item.old is not None]
        references = [item.reference for item in items if item.reference is not None]
        behaviour = [item.trajectory.response.behaviour_logprobs for item in items]
        selected = [item.selected for item in items if item.selected is not None]
        explored = [float(item.trajectory.response.source == "exploration") for item in items]
        return cls(
            advantage=per_token([item.trajectory.advantage for item in items]),
            weight=per_token([item.weight for item in items]),
            old=torch.cat(old).to(device) if old else logprobs.detach(),
            behaviour=torch.cat(behaviour).to(device),
            reference=torch.cat(references).to(device) if references else None,
            explored=per_token(explored) == 1,
            selected=torch.cat(selected).to(device) if selected else None,
            lengths=tuple(counts.tolist()),
        )

    def of_source(self, source: str) -> torch.Tensor | bool:
        """Mask of a source's tokens; True (all tokens) for a replay."""
        if source == "replay":
            return True
        return self.explored if source == "exploration" else ~self.explored


def _split_by_key(
    trajectories: Sequence[Trajectory], values: torch.Tensor
) -> dict[TrajectoryKey, torch.Tensor]:
    """Splits a pass's token values [T] by trajectory, on the CPU."""
    pieces = values.float().cpu().split([len(t.response.tokens) for t in trajectories])
    return {t.key: piece.clone() for t, piece in zip(trajectories, pieces, strict=True)}


def _scored(items: Sequence[_Item], new: Mapping[TrajectoryKey, torch.Tensor]) -> list[ScoredTrajectory]:
    """Trajectories with their old log-probs: the given ones, or the new ones of their update."""
    return [
        ScoredTrajectory(
            item.trajectory, new[item.trajectory.key] if item.old is None else item.old, item.reference
        )
        for item in items
    ]
