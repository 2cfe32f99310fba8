"""Which way does each source push entropy? Probe updates from one source at a time, undone after each.

    OMP_NUM_THREADS=1 deepspeed --num_accelerators 1 benchmarks/study/probe.py OUT.json key=value …

Trains UEC (`key=value` as for train.py) and stops every few steps. At each stop the policy as it stands
samples the next steps' prompts. Then a copy of it makes one normalised step of plain gradient descent on what
one source alone would be trained on, through the trainer's own loss and passes, and the exact entropy is
measured on the same states: those of all regular responses just sampled, and of those to difficult prompts
apart. The copy is set back, and the next source has its turn. Plain descent, because Adam's moments are of
all sources together; steps of one length, because a direction is asked for and not a force.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, product
from math import comb
from pathlib import Path
from statistics import fmean
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

import torch

from benchmarks.lib.study.results import estimate
from benchmarks.lib.study.runs import CONFIG, Inputs, Job, run_all
from vlm_uec.algorithm.exploration import is_difficult
from vlm_uec.algorithm.retention import retain_exploration, retain_regular
from vlm_uec.config import Config, load_config
from vlm_uec.model.load import banned_ids, frozen_parts, load_model
from vlm_uec.model.packing import PackedBatch, Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.ranks.signals import StopRequest
from vlm_uec.run.components import Components, build_components
from vlm_uec.types import EncodedPrompt, ScoredTrajectory, Trajectory
from vlm_uec.update.learner import Learner, PromptTable
from vlm_uec.update.microbatches import PassBudget
from vlm_uec.zero.engine import start_distributed, stop_distributed

STEPS, EVERY, FIRST = 60, 5, 10
STATES = {"all states": "change", "states of difficult prompts": "difficult_change"}
BATCHES = 4  # steps' worth of prompts sampled for a probe
LENGTH = 0.02  # of the step in weight space, whatever the gradient's


@dataclass(frozen=True)
class Probe:
    """What one step from one source did to the mean entropy of the fixed states, in nats."""

    step: int
    source: str
    trajectories: int
    before: float
    change: float
    difficult_change: float | None  # on the states of difficult prompts; None where there were none


@dataclass(frozen=True)
class Entropies:
    """Means over the tokens of the fixed states, in nats."""

    all: float
    difficult: float | None


class Descent:
    """The part of a `ZeroPolicy` that the learner uses, with one step of fixed length instead of Adam's."""

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
    """A copy of the policy, and what it is asked."""

    def __init__(self, config: Config, run: Components) -> None:
        self.config, self.run = config, run
        model = load_model(config.model.path, config.model.precision, checkpointing=False)
        banned = banned_ids(model.model.language_model.vocab_size, run.encoder.tokenizer)
        self.copy = Policy(model, banned, frozen_parts(config))
        self.learner = Learner(
            cast(Any, Descent(self.copy, LENGTH)),
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
        self._set_back()
        before = self._entropies(regular)
        for source, batch in batches.items():
            if batch:
                self.learner.update(batch, [None] * len(batch), [None] * len(batch))
                yield self._measured(step, source, len(batch), before, regular)
        if replay := self.run.trainer.replay.items():
            self.learner.replay([ScoredTrajectory(i.trajectory, i.old_logprobs, None) for i in replay])
            yield self._measured(step, "replay", len(replay), before, regular)

    def _measured(
        self, step: int, source: str, count: int, before: Entropies, states: Sequence[Trajectory]
    ) -> Probe:
        after = self._entropies(states)
        self._set_back()
        hard = None
        if before.difficult is not None and after.difficult is not None:
            hard = after.difficult - before.difficult
        return Probe(step, source, count, before.all, after.all - before.all, hard)

    def _sample(self, step: int) -> tuple[list[Trajectory], list[Trajectory]]:
        """Of prompts that training has not come to; under keys that it does not use."""
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

    def _set_back(self) -> None:
        with self.run.policy.gathered() as policy:
            self.copy.load_state_dict(policy.state_dict())

    def _entropies(self, states: Sequence[Trajectory]) -> Entropies:
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
        return Entropies(_mean(every), _mean(difficult) if difficult else None)


def _mean(parts: Sequence[torch.Tensor]) -> float:
    return float(torch.cat(list(parts)).mean())


def probe_all(
    out: Path, inputs: Inputs, seeds: Sequence[int], at_a_time: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Every seed's probes, as `Probe`'s fields and the seed."""
    jobs = [
        Job(
            name=f"probes, seed {seed}",
            done=out / f"seed_{seed}.done",
            log=out / f"seed_{seed}.log",
            script="benchmarks/study/probe.py",
            arguments=(str(out / f"seed_{seed}.json"), *inputs.overrides(out / f"seed_{seed}", seed)),
        )
        for seed in seeds
    ]
    run_all(jobs, at_a_time, say)
    return [
        {"seed": seed, **probe}
        for seed in seeds
        for probe in json.loads((out / f"seed_{seed}.json").read_text(encoding="utf-8"))
    ]


def sign_test(ups: int, downs: int) -> float:
    """Chance of a split at least as uneven if up and down were equally likely; two-sided, exact."""
    count, least = ups + downs, min(ups, downs)
    tail = sum(comb(count, k) for k in range(least + 1)) / 2**count
    return min(1.0, 2 * tail)


def by_source(probes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each source, on all states and on those of difficult prompts: what its probes did to entropy.

    Seeds are what is independent, probes of a seed are not: the interval and the sign test are over the
    seeds' means.
    """
    told: dict[str, dict[str, Any]] = {}
    for source, states in product(("exploration", "regular", "replay"), STATES):
        changes: dict[int, list[float]] = {}
        for probe in probes:
            if probe["source"] == source and probe[STATES[states]] is not None:
                changes.setdefault(probe["seed"], []).append(probe[STATES[states]])
        if changes:
            means = [fmean(of_seed) for of_seed in changes.values()]
            ups = sum(mean > 0 for mean in means)
            told.setdefault(source, {})[states] = {
                "probes": sum(map(len, changes.values())),
                "probes_up": sum(change > 0 for of_seed in changes.values() for change in of_seed),
                "seeds": len(means),
                "seeds_up": ups,
                "change": vars(estimate(means)),
                "p": sign_test(ups, len(means) - ups),
            }
    return told


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--local_rank")]
    out, overrides = Path(arguments[0]), arguments[1:]
    config = load_config(CONFIG, [*overrides, "algorithm=uec"])
    start_distributed(rendezvous())
    torch.set_num_threads(1)
    run = build_components(config, StopRequest())
    prober = Prober(config, run)
    probes: list[Probe] = []
    for step in range(1, STEPS + 1):
        run.trainer.step(step)
        if step >= FIRST and step % EVERY == 0:
            probes += prober.probe(step)
            print(*probes[-3:], sep="\n", flush=True)
    out.write_text(json.dumps([asdict(probe) for probe in probes], indent=1) + "\n", encoding="utf-8")
    stop_distributed()


if __name__ == "__main__":
    main()
