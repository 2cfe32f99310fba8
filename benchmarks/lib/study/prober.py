"""Probe updates: one step from one source on a copy of the policy, measured and undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import torch

from vlm_uec.algorithm.exploration import is_difficult
from vlm_uec.algorithm.retention import retain_exploration, retain_regular
from vlm_uec.config import Config
from vlm_uec.model.load import banned_ids, frozen_parts, load_model
from vlm_uec.model.packing import PackedBatch, Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.run.components import Components
from vlm_uec.types import EncodedPrompt, ScoredTrajectory, Trajectory
from vlm_uec.update.learner import Learner, PromptTable
from vlm_uec.update.microbatches import PassBudget

BATCHES = 4  # sampled for the probes of a step
STEP_LENGTH = 0.02  # in weight space, independent of the gradient's norm


@dataclass(frozen=True)
class Probe:
    """Change of the fixed states' mean entropy by one step from one source, in nats."""

    step: int
    source: str
    trajectories: int
    before: float
    change: float
    difficult_change: float | None  # on the states of difficult prompts; None without difficult prompts


@dataclass(frozen=True)
class MeanEntropy:
    """Mean entropy over the tokens of the fixed states, in nats."""

    all: float
    difficult: float | None


class FixedLengthDescent:
    """The part of `ZeroPolicy` that the learner uses; its step has a fixed length instead of Adam's."""

    def __init__(self, policy: Policy, length: float) -> None:
        self.policy, self.length, self.lr = policy, length, length
        self.device = torch.device("cpu")
        self._trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]

    def score(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            return self.policy(batch)

    def forward(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        return self.policy(batch)

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def step(self) -> float:
        gradients = [weight.grad for weight in self._trained if weight.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        with torch.no_grad():
            for weight in self._trained:
                if weight.grad is not None:
                    weight.sub_(weight.grad, alpha=self.length / norm)
                    weight.grad = None
        return norm

    @property
    def tower_frozen(self) -> bool:
        return self.policy.frozen.tower

    def frozen_features(
        self, names: Sequence[str], encode: Callable[[str], EncodedPrompt]
    ) -> dict[str, torch.Tensor]:
        return {name: self.policy.frozen_features(encode(name)) for name in names}


class Prober:
    """Makes probe steps on a copy of the policy."""

    def __init__(self, config: Config, run: Components) -> None:
        self.config, self.run = config, run
        model = load_model(config.model.path, config.model.precision, checkpointing=False)
        banned = banned_ids(model.model.language_model.vocab_size, run.encoder.tokenizer)
        self.copy = Policy(model, banned, frozen_parts(config))
        self.learner = Learner(
            cast(Any, FixedLengthDescent(self.copy, STEP_LENGTH)),
            None,
            PromptTable(run.prompts.tokens, run.prompts.encode),
            config.loss,
            minibatch=1_000_000,
            max_tokens=config.rollout.max_tokens,
            budget=PassBudget(config.optim.microbatch_tokens, lambda positions, why: None),
        )

    def probe(self, step: int) -> Iterator[Probe]:
        regular, explored = self._sample(step)
        rules = self.config.retention
        batches: Mapping[str, Sequence[Trajectory]] = {
            "regular": retain_regular(regular, rules.threshold),
            "exploration": retain_exploration(explored, rules.retain, rules.magnitude),
        }
        self._reset_copy()
        before = self._mean_entropy(regular)
        for source, batch in batches.items():
            if batch:
                self.learner.update(batch, [None] * len(batch), [None] * len(batch))
                yield self._measured(step, source, len(batch), before, regular)
        if replay := self.run.trainer.replay.items():
            self.learner.replay([ScoredTrajectory(i.trajectory, i.old_logprobs, None) for i in replay])
            yield self._measured(step, "replay", len(replay), before, regular)

    def _measured(
        self, step: int, source: str, count: int, before: MeanEntropy, states: Sequence[Trajectory]
    ) -> Probe:
        after = self._mean_entropy(states)
        self._reset_copy()
        difficult_change = None
        if before.difficult is not None and after.difficult is not None:
            difficult_change = after.difficult - before.difficult
        return Probe(step, source, count, before.all, after.all - before.all, difficult_change)

    def _sample(self, step: int) -> tuple[list[Trajectory], list[Trajectory]]:
        """Samples prompts of later training steps, with random keys that training does not use."""
        run = self.run
        regular: list[Trajectory] = []
        explored: list[Trajectory] = []
        with run.policy.gathered():
            for ahead in range(1, BATCHES + 1):
                names = run.trainer.schedule.step(step + ahead)
                key = 1_000_000 + step * BATCHES + ahead
                experience = run.collector.collect(names, key, run.timer, lambda progress: None)
                regular += experience.regular
                explored += experience.explored
        return regular, explored

    def _reset_copy(self) -> None:
        with self.run.policy.gathered() as policy:
            self.copy.load_state_dict(policy.state_dict())

    def _mean_entropy(self, states: Sequence[Trajectory]) -> MeanEntropy:
        every: list[torch.Tensor] = []
        difficult: list[torch.Tensor] = []
        for name, group in groupby(states, lambda t: t.response.problem_id):
            members = list(group)
            prompt = self.run.prompts.encode(name)
            row = Row(prompt, tuple(t.response.tokens for t in members))
            with torch.no_grad():
                every.append(self.copy(pack([row], [self.copy.frozen_features(prompt)]))[1].double())
            if is_difficult([t.reward.accuracy for t in members]):
                difficult.append(every[-1])
        return MeanEntropy(_token_mean(every), _token_mean(difficult) if difficult else None)


def _token_mean(parts: Sequence[torch.Tensor]) -> float:
    return float(torch.cat(list(parts)).mean())
