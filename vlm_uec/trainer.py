"""One step of UEC-RL (arXiv 2604.14646), in the order of the paper's algorithm box.

Differences from the reference code: each difficult prompt is explored once; steps without difficult
prompts, without retained trajectories or with an empty buffer are normal; pending and replay buffers
are part of the checkpoint; both log-probs of a sampled token are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from vlm_uec.algorithm.learning_rate import learning_rate
from vlm_uec.algorithm.pending import PendingQueue
from vlm_uec.algorithm.replay import ReplayBuffer
from vlm_uec.algorithm.retention import (
    drop_overlong,
    retain_exploration,
    retain_mixed_groups,
    retain_regular,
)
from vlm_uec.checkpoint.state import TrainState
from vlm_uec.collector import Collector, Experience
from vlm_uec.config import Config
from vlm_uec.data.schedule import ProblemSchedule
from vlm_uec.rng import keyed_generator
from vlm_uec.rollout.engine import OnProgress
from vlm_uec.timers import PhaseTimer
from vlm_uec.types import Trajectory
from vlm_uec.update.learner import Learner, UpdateStats
from vlm_uec.update.nonfinite import UpdateGuard
from vlm_uec.zero.engine import ZeroPolicy


@dataclass(frozen=True)
class Retained:
    """The trajectories that selective retention kept of a step, and their counts."""

    trajectories: tuple[Trajectory, ...]  # by problem, then response index
    regular: int
    explored: int
    dropped_overlong: int


@dataclass(frozen=True)
class Update:
    """The trajectories that a step trained on and the statistics of its optimizer steps; may be empty."""

    trajectories: tuple[Trajectory, ...] = ()
    stats: tuple[UpdateStats, ...] = ()


@dataclass(frozen=True)
class StepOutcome:
    """The rollouts, retention, update and replay of a step."""

    experience: Experience
    retained: Retained
    update: Update
    replay: Update


class Trainer:
    """Runs steps and keeps the state between them: queue, replay buffer and the count of skipped updates."""

    def __init__(
        self,
        config: Config,
        policy: ZeroPolicy,
        collector: Collector,
        learner: Learner,
        schedule: ProblemSchedule,
        timer: PhaseTimer,
        *,
        announce: Callable[[str], None],
        report: Callable[[str], None],
        on_progress: OnProgress,
    ) -> None:
        """`announce` is called with the name of each phase, `report` with a line for the user, and
        `on_progress` during a rollout, which it may abandon by raising."""
        self.config, self.policy, self.collector, self.learner = config, policy, collector, learner
        self.schedule, self.timer = schedule, timer
        self.announce, self.report, self.on_progress = announce, report, on_progress
        self.restore(TrainState())

    def restore(self, state: TrainState) -> None:
        """Restores the state of a checkpoint."""
        stabilizer = self.config.stabilizer
        self.pending = PendingQueue(state.pending)
        capacity = round(stabilizer.capacity * self.config.unit)
        replay = state.replay
        if self.config.loss.kl_coef == 0:
            # The run had a reference before: mini-batches must not mix items with and without its log-probs.
            replay = tuple(replace(item, reference_logprobs=None) for item in replay)
        self.replay = ReplayBuffer(capacity, stabilizer.min_advantage, replay, stabilizer.retain)
        self.guard = UpdateGuard(self.config.guard.bad_updates, state.bad_updates)

    def state(self, step: int, metrics: Mapping[str, float | None], *, finished: bool) -> TrainState:
        """The state to save in a checkpoint after `step`, besides the weights."""
        pending, replay = self.pending.items(), self.replay.items()
        return TrainState(step, pending, replay, metrics, finished, self.guard.consecutive)

    def step(self, step: int) -> StepOutcome:
        """One trainer step; every rank calls it."""
        self.policy.set_lr(self._learning_rate(step))
        experience = self._rollout(step)
        retained = self._retain(experience)
        self.pending.push(retained.trajectories)
        update = self._update(step)
        replay = self._replay(step)
        return StepOutcome(experience, retained, update, replay)

    def _learning_rate(self, step: int) -> float:
        optim, steps = self.config.optim, self.config.train.steps
        return learning_rate(
            optim.lr,
            step,
            steps=steps,
            warmup=optim.warmup_steps,
            decay=optim.decay,
            floor=optim.min_ratio,
        )

    def _rollout(self, step: int) -> Experience:
        problems = self.schedule.step(step)
        self.announce(f"step {step}: rollout")
        with self.timer.phase("rollout"), self.policy.gathered():
            return self.collector.collect(problems, step, self.timer, self.on_progress)

    def _retain(self, experience: Experience) -> Retained:
        rules = self.config.retention
        regular, explored = list(experience.regular), list(experience.explored)
        if rules.mixed_groups:
            regular, explored = retain_mixed_groups(regular), retain_mixed_groups(explored)
        if rules.regular:
            regular = retain_regular(regular, rules.threshold)
        if rules.exploration:
            explored = retain_exploration(explored, rules.retain, rules.magnitude)
        kept = experience.in_problem_order([*regular, *explored])
        dropped = 0
        if self.config.overlong_filter.enabled:
            kept, dropped = drop_overlong(kept)
        explored_kept = sum(t.response.source == "exploration" for t in kept)
        return Retained(tuple(kept), len(kept) - explored_kept, explored_kept, dropped)

    def _update(self, step: int) -> Update:
        batch = self.pending.pop(self.config.unit if self.config.pending.enabled else 1)
        if not batch:
            return Update()
        self.announce(f"step {step}: update on {len(batch)} trajectories")
        with self.timer.phase("old"):
            old = self.learner.old_logprobs(batch)
        with self.timer.phase("reference"):
            reference = self.learner.reference_logprobs(batch)
        with self.timer.phase("update"):
            replays = self.config.stabilizer.enabled
            scored, stats = self.learner.update(batch, old, reference, needs_scored=replays)
        self.guard.check(step, stats, self.report)
        if replays:
            self.replay.add(scored)
        return Update(tuple(batch), tuple(stats))

    def _replay(self, step: int) -> Update:
        stabilizer = self.config.stabilizer
        if not stabilizer.enabled or step % stabilizer.frequency:
            return Update()
        generator = keyed_generator(self.config.train.seed, "replay", step)
        replayed = self.replay.sample(self.config.unit, generator)
        if not replayed:
            return Update()
        self.announce(f"step {step}: replay of {len(replayed)} trajectories")
        with self.timer.phase("replay"):
            stats = self.learner.replay(replayed)
        self.guard.check(step, stats, self.report)
        return Update(tuple(item.trajectory for item in replayed), tuple(stats))
