"""A probe of the entropy study: one step on a copy, measured on the same states, then undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from benchmarks.lib.study.prober import STEP_LENGTH, FixedLengthDescent, Probe, Prober
from benchmarks.lib.study.tasks import KINDS_BY_NAME
from data_prep.synthetic.problems import make_problem
from tests.support.fakes import make_response
from tests.support.launch import BUNDLED_MODEL
from vlm_uec.config import load_config
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import PromptSet, prepare_prompts
from vlm_uec.model.load import banned_ids, end_ids, frozen_parts, load_model
from vlm_uec.model.policy import Policy
from vlm_uec.rewards import Reward
from vlm_uec.rollout.engine import Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.types import ScoredTrajectory, Trajectory

PROBLEMS = [
    make_problem(KINDS_BY_NAME["central_angle"], {"inscribed": angle}, seed=1).problem for angle in (20, 31)
]
EASY, HARD = (problem.id for problem in PROBLEMS)


class FakeRun:
    """The parts of a run that a prober uses: policy, prompts, and scripted samples of the next steps."""

    def __init__(self) -> None:
        self.config = load_config("configs/tiny_cpu.yaml", [f"model.path={BUNDLED_MODEL}", "loss.kl_coef=0"])
        data = self.config.data
        self.encoder = PromptEncoder.from_pretrained(
            str(BUNDLED_MODEL),
            template="{{ question }}",
            min_pixels=data.min_pixels,
            max_pixels=data.max_pixels,
            max_prompt_tokens=128,
        )
        self.prompts: PromptSet = prepare_prompts(PROBLEMS, self.encoder)
        model = load_model(str(BUNDLED_MODEL), "fp32", checkpointing=False)
        banned = banned_ids(model.model.language_model.vocab_size, self.encoder.tokenizer)
        self.weights = Policy(model, banned, frozen_parts(self.config))
        self.policy = SimpleNamespace(gathered=self._gathered)
        self.timer = None
        self.collector = SimpleNamespace(collect=self._collect)
        self.trainer = SimpleNamespace(
            schedule=SimpleNamespace(step=lambda step: (EASY, HARD)),
            replay=SimpleNamespace(items=self._replay),
        )
        self.sampled = 0
        self.likely = {name: self._greedy(name) for name in (EASY, HARD)}
        self.unlikely = self._with_other_digits(self.likely[HARD])

    def _with_other_digits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Every digit is replaced."""
        tokenizer, changed = self.encoder.tokenizer, tokens.clone()
        for index, number in enumerate(tokens.tolist()):
            text = str(tokenizer.decode([number]))
            if text.isdigit():
                (changed[index],) = tokenizer.encode(str((int(text) + 3) % 10))
        return changed

    def _greedy(self, name: str) -> torch.Tensor:
        ends = end_ids(str(BUNDLED_MODEL), self.encoder.tokenizer)
        engine = NativeEngine(self.weights, ends, 1, max(self.prompts.tokens.values()))
        request = Request(self.prompts.encode(name), range(1), Sampling(0.0, 1.0, 32))
        (group,) = engine.generate([request], StreamKey(1, 0), lambda progress: None)
        return group.responses[0].tokens

    @contextmanager
    def _gathered(self) -> Iterator[Policy]:
        yield self.weights

    def _collect(self, *_: Any) -> Any:
        self.sampled += 1
        if self.sampled > 1:
            return SimpleNamespace(regular=[], explored=[])
        regular = [
            self._trajectory(EASY, self.likely[EASY], 1.0, right=True),
            self._trajectory(HARD, self.likely[HARD], 0.0),
        ]
        return SimpleNamespace(
            regular=regular, explored=[self._trajectory(HARD, self.unlikely, 1.0, right=True)]
        )

    def _replay(self) -> list[ScoredTrajectory]:
        likely = self._trajectory(EASY, self.likely[EASY], 1.0, right=True)
        return [ScoredTrajectory(likely, likely.response.policy_logprobs, None)]

    def _trajectory(
        self, name: str, tokens: torch.Tensor, advantage: float, *, right: bool = False
    ) -> Trajectory:
        flat = torch.full((len(tokens),), -0.1)
        response = replace(
            make_response(name),
            tokens=tokens,
            behaviour_logprobs=flat,
            policy_logprobs=flat,
            entropy=-flat,
            kept_mass=torch.ones(len(tokens)),
        )
        return Trajectory(response, Reward(float(right), float(right), 0.0, "scripted"), advantage, 1)


@pytest.fixture(scope="module")
def run() -> FakeRun:
    return FakeRun()


@pytest.fixture(scope="module")
def prober(run: FakeRun) -> Prober:
    return Prober(run.config, cast(Any, run))


@pytest.fixture(scope="module")
def probes(prober: Prober) -> list[Probe]:
    return list(prober.probe(10))


def test_every_source_starts_from_the_same_entropy(probes: list[Probe]) -> None:
    assert [(probe.source, probe.trajectories) for probe in probes] == [
        ("regular", 1),
        ("exploration", 1),
        ("replay", 1),
    ]
    assert len({probe.before for probe in probes}) == 1
    assert all(probe.change and probe.difficult_change for probe in probes)


def test_reinforcing_likely_tokens_lowers_entropy_and_unlikely_ones_raises_it(probes: list[Probe]) -> None:
    """Regular and replay reinforce the greedy response; exploration one with other digits."""
    regular, explored, replay = probes
    assert regular.change < 0 and replay.change < 0
    assert explored.difficult_change is not None and explored.difficult_change > 0


def test_the_copy_is_reset_and_the_policy_never_changes(
    run: FakeRun, prober: Prober, probes: list[Probe]
) -> None:
    fresh = load_model(str(BUNDLED_MODEL), "fp32", checkpointing=False).state_dict()
    for name, weight in run.weights.state_dict().items():
        assert torch.equal(weight, prober.copy.state_dict()[name])
    assert all(torch.equal(value, run.weights.model.state_dict()[name]) for name, value in fresh.items())


def test_a_step_has_a_fixed_length(run: FakeRun) -> None:
    weights = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2))]
    descent = FixedLengthDescent(cast(Any, SimpleNamespace(parameters=lambda: iter(weights))), STEP_LENGTH)
    descent.backward(sum((5 * weight.sum() for weight in weights), torch.zeros(())))
    descent.step()
    moved = torch.cat([weight.detach() for weight in weights])
    assert float(moved.norm()) == pytest.approx(STEP_LENGTH, rel=1e-5)
    assert torch.equal(moved, moved[:1].expand(5)) and moved[0] < 0
