"""Collects a step's experience: rollouts, exploration of failed prompts, rewards and advantages.

Each rank samples and judges whole groups of its own prompts. The gathered result is the same list on every
rank, in an order that does not depend on which response finished first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from vlm_uec.algorithm.advantages import group_advantages
from vlm_uec.algorithm.exploration import is_difficult
from vlm_uec.algorithm.overlong import overlong_penalty
from vlm_uec.config import ExplorationConfig, RolloutConfig
from vlm_uec.data.prompts import PromptSet
from vlm_uec.ranks.collectives import rank, world_size
from vlm_uec.ranks.columns import gather_trajectories
from vlm_uec.rollout.engine import OnProgress, Request, RolloutEngine, Sampling, StreamKey
from vlm_uec.timers import PhaseTimer
from vlm_uec.types import EncodedPrompt, Group, Problem, Response, Reward, Trajectory

Judge = Callable[[str, Problem], Reward]


@dataclass(frozen=True)
class Experience:
    """All ranks' trajectories of a step, in order of problem and response index."""

    problem_ids: tuple[str, ...]
    regular: tuple[Trajectory, ...]
    explored: tuple[Trajectory, ...]

    @classmethod
    def of(
        cls, problem_ids: Sequence[str], regular: Sequence[Trajectory], explored: Sequence[Trajectory]
    ) -> Experience:
        """Sorts trajectories, gathered rank by rank, by problem and response index."""
        ids = tuple(problem_ids)
        return cls(ids, tuple(_ordered(regular, ids)), tuple(_ordered(explored, ids)))

    def in_problem_order(self, trajectories: Sequence[Trajectory]) -> list[Trajectory]:
        """Sorts trajectories so that a prompt's regular and exploration responses are adjacent."""
        return _ordered(trajectories, self.problem_ids)

    @property
    def response_tokens(self) -> int:
        """Sampled tokens, exploration included."""
        return sum(len(t.response.tokens) for t in (*self.regular, *self.explored))

    @property
    def difficult_prompts(self) -> int:
        """Prompts on which every regular rollout failed, explored or not."""
        accuracies: dict[str, list[float]] = defaultdict(list)
        for trajectory in self.regular:
            accuracies[trajectory.response.problem_id].append(trajectory.reward.accuracy)
        return sum(map(is_difficult, accuracies.values()))

    @property
    def rescued_prompts(self) -> int:
        """Difficult prompts with at least one correct exploration response."""
        return len({t.response.problem_id for t in self.explored if t.reward.accuracy > 0})


class Collector:
    """Samples and judges a step's problems."""

    def __init__(
        self,
        engine: RolloutEngine,
        prompts: PromptSet,
        response_text: Callable[[torch.Tensor], str],
        judge: Judge,
        rollout: RolloutConfig,
        exploration: ExplorationConfig,
        *,
        seed: int,
        scaled: bool = True,
        overlong_buffer: float | None = None,
        overlong_weight: float = 0.5,
    ) -> None:
        """`response_text`: the text of sampled tokens; `scaled`: divide advantages by the group's standard
        deviation; `overlong_buffer`: the last share of `rollout.max_tokens`, in which the length penalty
        grows to `overlong_weight`."""
        self.scaled = scaled
        self.overlong_buffer, self.overlong_weight = overlong_buffer, overlong_weight
        self.engine, self.prompts, self.response_text, self.judge = engine, prompts, response_text, judge
        self.rollout, self.exploration, self.seed = rollout, exploration, seed

    def collect(
        self, problem_ids: Sequence[str], step: int, timer: PhaseTimer, on_progress: OnProgress
    ) -> Experience:
        """Samples, judges and explores; every rank calls it with the same ids."""
        own = problem_ids[rank() :: world_size()]
        judged: list[Trajectory] = []

        def follow_up(group: Group) -> Request | None:
            with timer.phase("reward"):
                trajectories = self._judge_group(group, step)
            judged.extend(trajectories)
            return self._exploration(group.prompt, trajectories)

        with timer.phase("rollout"):
            regular = range(self.rollout.n)
            requests = [
                Request(self.prompts.encode(name), regular, self._sampling(self.rollout.temperature))
                for name in own
            ]

            def sampled() -> list[Trajectory]:
                self.engine.generate(requests, StreamKey(self.seed, step), on_progress, follow_up)
                timer.move("rollout", "exploration", _explored_share(judged))
                return judged

            # All ranks wait for the slowest rollout; an error of a plug-in on one rank is raised on all.
            gathered = gather_trajectories(sampled)
        return Experience.of(
            problem_ids,
            [t for t in gathered if t.response.source == "regular"],
            [t for t in gathered if t.response.source == "exploration"],
        )

    def _exploration(self, prompt: EncodedPrompt, judged: Sequence[Trajectory]) -> Request | None:
        """The request for exploration responses if every regular one failed; sampled in the same batch."""
        is_exploration = judged[0].response.source == "exploration"
        if is_exploration or not self.exploration.enabled:
            return None
        if not is_difficult([t.reward.accuracy for t in judged]):
            return None
        return Request(
            prompt,
            range(self.rollout.n, self.rollout.n + self.exploration.n),
            self._sampling(self.exploration.temperature),
            source="exploration",
        )

    def text(self, response: Response) -> str:
        return self.response_text(response.tokens)

    def _sampling(self, temperature: float) -> Sampling:
        return Sampling(temperature, self.rollout.top_p, self.rollout.max_tokens)

    def _judge(self, response: Response, problem: Problem) -> Reward:
        reward = self.judge(self.text(response), problem)
        if self.overlong_buffer is None:
            return reward
        limit = self.rollout.max_tokens
        penalty = overlong_penalty(len(response.tokens), limit, self.overlong_buffer * limit)
        return replace(reward, total=reward.total + self.overlong_weight * penalty)

    def _judge_group(self, group: Group, step: int) -> list[Trajectory]:
        problem = self.prompts.problems[group.prompt.problem_id]
        rewards = [self._judge(response, problem) for response in group.responses]
        advantages = group_advantages([reward.total for reward in rewards], scaled=self.scaled)
        return [
            Trajectory(response, reward, advantage, step)
            for response, reward, advantage in zip(group.responses, rewards, advantages, strict=True)
        ]


def _ordered(trajectories: Sequence[Trajectory], problem_ids: Sequence[str]) -> list[Trajectory]:
    position = {problem_id: index for index, problem_id in enumerate(problem_ids)}
    return sorted(trajectories, key=lambda t: (position[t.response.problem_id], t.response.index))


def _explored_share(trajectories: Sequence[Trajectory]) -> float:
    """Exploration's share of the sampled tokens."""
    tokens = {"regular": 0, "exploration": 0}
    for trajectory in trajectories:
        tokens[trajectory.response.source] += len(trajectory.response.tokens)
    return tokens["exploration"] / max(1, sum(tokens.values()))
