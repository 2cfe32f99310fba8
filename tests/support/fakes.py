"""A trainer without a model: scripted responses, and a learner that records its calls.

A script has one letter a response, regular ones before the bar and explored ones after it:
`v` right, `x` wrong, `f` wrong but well formed; a capital letter is a truncated response.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import pytest
import torch

from vlm_uec import collector as collector_module
from vlm_uec.collector import Collector
from vlm_uec.config import Config, load_config
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import PromptSet
from vlm_uec.data.schedule import MixturePart, ProblemSchedule
from vlm_uec.ranks import collectives
from vlm_uec.rollout.engine import FollowUp, OnProgress, Request, RolloutShape, StreamKey, nothing_more
from vlm_uec.telemetry.display import Display
from vlm_uec.timers import PhaseTimer
from vlm_uec.trainer import Trainer
from vlm_uec.types import (
    EncodedPrompt,
    Group,
    Problem,
    Response,
    Reward,
    ScoredTrajectory,
    Source,
    Trajectory,
)
from vlm_uec.update.learner import Learner, UpdateStats
from vlm_uec.zero.engine import ZeroPolicy

T = TypeVar("T")
Scripts = Mapping[str, str]
RECIPE = Path(__file__).parents[2] / "configs" / "tiny_cpu.yaml"
FORMAT_WEIGHT = 0.1


def make_config(*overrides: str) -> Config:
    """The tiny recipe with one problem a mini-batch."""
    return load_config(RECIPE, ["optim.minibatch=1", *overrides])


def make_response(
    problem_id: str = "p",
    index: int = 0,
    *,
    source: Source = "regular",
    text: str = "x",
    truncated: bool = False,
) -> Response:
    """A response whose tokens spell `text`; no two of its numbers are equal."""
    base = torch.arange(len(text), dtype=torch.float32) + 100 * index + 1
    return Response(
        problem_id=problem_id,
        index=index,
        source=source,
        tokens=torch.tensor(list(text.encode()), dtype=torch.int64),
        behaviour_logprobs=-base / 7,
        policy_logprobs=-base / 11,
        entropy=base / 13,
        kept_mass=1 / base,
        truncated=truncated,
    )


def make_trajectory(
    problem_id: str = "p", index: int = 0, *, advantage: float = 1.0, step: int = 1, **response: Any
) -> Trajectory:
    reward = Reward(0.9, 1.0, 0.0, "scripted")
    return Trajectory(make_response(problem_id, index, **response), reward, advantage, step)


def make_prompt(problem_id: str) -> EncodedPrompt:
    nothing = torch.zeros(0, 3, dtype=torch.int64)
    positions = torch.arange(4).expand(3, -1)
    return EncodedPrompt(problem_id, torch.arange(4), torch.zeros(0, 1176), nothing, positions)


class ScriptedEngine:
    """Responds by the scripts; `calls` has the requests and the key of each `generate`."""

    def __init__(self, scripts: Scripts, policy: FakePolicy) -> None:
        self.scripts = {name: script.replace("|", "") for name, script in scripts.items()}
        self.policy = policy
        self.calls: list[tuple[list[Request], StreamKey]] = []

    def generate(
        self,
        requests: Sequence[Request],
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp = nothing_more,
    ) -> list[Group]:
        assert self.policy.is_gathered, "sampling needs gathered weights"
        groups = [Group(request.prompt, tuple(self._responses(request))) for request in requests]
        # Groups may finish in any order; here they finish last to first.
        follow_ups = [request for request in map(follow_up, reversed(groups)) if request is not None][::-1]
        self.calls.append(([*requests, *follow_ups], key))
        explored = [Group(request.prompt, tuple(self._responses(request))) for request in follow_ups]
        for group in explored:
            assert follow_up(group) is None
        return [*groups, *explored]

    def stream(
        self, requests: Iterable[Request], shape: RolloutShape, key: StreamKey, on_progress: OnProgress
    ) -> Iterator[Response]:
        raise AssertionError("the trainer samples by `generate` only")

    def _responses(self, request: Request) -> Iterator[Response]:
        name = request.prompt.problem_id
        for index in request.indices:
            letter = self.scripts[name][index]
            yield make_response(
                name, index, source=request.source, text=letter.lower(), truncated=letter.isupper()
            )


def spelled_text(tokens: torch.Tensor) -> str:
    return bytes(tokens.tolist()).decode()


class FakePolicy:
    """Records whether its weights are gathered, and the learning rate of each step."""

    def __init__(self) -> None:
        self.is_gathered = False
        self.rates: list[float] = []

    def set_lr(self, lr: float) -> None:
        self.rates.append(lr)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        self.is_gathered = True
        try:
            yield
        finally:
            self.is_gathered = False


class RecordingLearner:
    """`calls` lists (method, trajectories); its log-probs are the number of updates so far."""

    def __init__(self, policy: FakePolicy) -> None:
        self.policy = policy
        self.calls: list[tuple[str, list[Any]]] = []
        self.updates = 0

    def old_logprobs(self, batch: Sequence[Trajectory]) -> list[torch.Tensor]:
        assert not self.policy.is_gathered, "scoring runs on shards"
        self.calls.append(("old", list(batch)))
        return [torch.full_like(t.response.entropy, float(self.updates)) for t in batch]

    def reference_logprobs(self, batch: Sequence[Trajectory]) -> list[torch.Tensor | None]:
        self.calls.append(("reference", list(batch)))
        return [None] * len(batch)

    def update(
        self,
        batch: Sequence[Trajectory],
        old: Sequence[Any],
        reference: Sequence[Any],
        *,
        needs_scored: bool,
    ) -> tuple[list[ScoredTrajectory], list[UpdateStats]]:
        scored = [ScoredTrajectory(*terms) for terms in zip(batch, old, reference, strict=True)]
        return scored if needs_scored else [], self._step("update", scored)

    def replay(self, batch: Sequence[ScoredTrajectory]) -> list[UpdateStats]:
        return self._step("replay", batch)

    def _step(self, name: str, batch: Sequence[ScoredTrajectory]) -> list[UpdateStats]:
        self.calls.append((name, list(batch)))
        self.updates += 1
        return [make_stats(trajectories=len(batch))]

    def batches(self, method: str) -> list[list[Any]]:
        return [batch for name, batch in self.calls if name == method]


def make_stats(**values: Any) -> UpdateStats:
    zeros: dict[str, Any] = dict.fromkeys(UpdateStats.__dataclass_fields__, 0.0)
    absent: dict[str, Any] = {
        "covariance": {},
        "suspects": (),
        "entropy_change": None,
        "entropy_predicted": None,
    }
    return UpdateStats(**{**zeros, **absent, **values})


def scripted_judge(text: str, problem: Problem) -> Reward:
    accuracy, form = float(text == "v"), float(text == "f")
    return Reward((1 - FORMAT_WEIGHT) * accuracy + FORMAT_WEIGHT * form, accuracy, form, "scripted")


def make_collector(config: Config, scripts: Scripts, policy: FakePolicy) -> Collector:
    problems = {name: Problem(name, "question", "answer") for name in scripts}
    tokens = dict.fromkeys(scripts, 4)
    encoder = cast(PromptEncoder, lambda problem: make_prompt(problem.id))
    prompts = PromptSet(problems, tokens, encoder, Counter())
    return Collector(
        ScriptedEngine(scripts, policy),
        prompts,
        spelled_text,
        scripted_judge,
        config.rollout,
        config.exploration,
        seed=config.train.seed,
    )


def make_trainer(scripts: Scripts, *overrides: str) -> tuple[Trainer, RecordingLearner]:
    """A trainer that samples every problem of `scripts` in every step."""
    config = make_config(f"rollout.prompts={len(scripts)}", *overrides)
    policy = FakePolicy()
    collector, learner = make_collector(config, scripts, policy), RecordingLearner(policy)
    display = Display(active=False, steps=1, stream=StringIO())
    schedule = ProblemSchedule([MixturePart("", tuple(sorted(scripts)), len(scripts))], config.train.seed)
    trainer = Trainer(
        config,
        cast(ZeroPolicy, policy),
        collector,
        cast(Learner, learner),
        schedule,
        PhaseTimer(),
        announce=display.start_phase,
        report=display.line,
        on_progress=display.progress,
    )
    return trainer, learner


def run_on_ranks(
    monkeypatch: pytest.MonkeyPatch,
    ranks: int,
    body: Callable[[int], T],
    *modules: ModuleType,
    machines: int = 1,
) -> list[T]:
    """Results of `body(rank)` on `ranks` threads, spread over the machines in turn. The threads stand in for
    ranks in the collectives that `modules` (default: `vlm_uec.collector`) import."""
    local, barrier = threading.local(), threading.Barrier(ranks, timeout=10)
    shares: list[Any] = [None] * ranks
    results: dict[int, T] = {}

    def gather_objects(value: Any) -> list[Any]:
        shares[local.rank] = value
        barrier.wait()
        gathered = list(shares)
        barrier.wait()
        return gathered

    def run(rank: int) -> None:
        local.rank = rank
        results[rank] = body(rank)

    stand_ins = {
        "rank": lambda: local.rank,
        "world_size": lambda: ranks,
        "local_ranks": lambda: list(range(local.rank % machines, ranks, machines)),
        "barrier": barrier.wait,
        "gather_objects": gather_objects,
    }
    assert stand_ins.keys() <= vars(collectives).keys()
    for module in (*(modules or (collector_module,)), collectives):
        for name in stand_ins.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, stand_ins[name])
    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(ranks)]
