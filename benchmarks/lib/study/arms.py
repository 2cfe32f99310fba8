"""The entropy study's arms, and the training job of each arm and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib.launching import TINY_CONFIG
from benchmarks.lib.study.job_pool import Job

ARMS: dict[str, tuple[str, ...]] = {
    "GRPO": ("algorithm=grpo",),
    "DAPO": ("algorithm=dapo",),
    # Ten times the preset's coefficient; at 1e-3 the results here do not differ from GRPO's.
    "entropy bonus": ("algorithm=entropy_bonus", "loss.entropy_coef=0.01"),
    "UEC": ("algorithm=uec",),
    "UEC, no exploration": ("algorithm=uec", "exploration.enabled=false"),
    "UEC, no stabiliser": ("algorithm=uec", "stabilizer.enabled=false"),
    "UEC, no retention": ("algorithm=uec", "retention.regular=false", "retention.exploration=false"),
    # Retention halves the batches per token and thus the optimizer steps; these arms separate that effect.
    "GRPO, two steps a batch": ("algorithm=grpo", "optim.minibatch=8"),
    "UEC, two steps a batch": ("algorithm=uec", "optim.minibatch=8"),
}
SETTINGS = (
    "prompt.template='{{ question }}'",
    "rollout.prompts=16",
    "rollout.n=8",
    "rollout.max_tokens=64",
    "exploration.n=16",
    "exploration.temperature=1.2",
    # One optimizer step per batch unless an arm has two; no KL term, because the base model is mostly wrong.
    "optim.minibatch=16",
    "loss.kl_coef=0",
    "optim.lr=1e-4",
    "evaluation.n=16",
    "evaluation.temperature=1.0",
    "train.measure_entropy=true",
    "train.eval_every=25",
    "train.save_every=25",
    "train.keep=1",
    "train.keep_best=0",
    "guard.rank_timeout=600",
)
# Arms that are also compared with a GRPO arm of equal optimizer steps per batch.
MATCHED = {"UEC, two steps a batch": "GRPO, two steps a batch"}
MAX_STEPS = 100_000  # never reached: the limit of sampled tokens ends a run


@dataclass(frozen=True)
class StudyRun:
    """One arm with one seed."""

    arm: str
    seed: int
    folder: Path


@dataclass(frozen=True)
class Inputs:
    """Settings that all runs of a study share."""

    model: Path
    data: Path
    tokens: int  # sampled response tokens after which a run ends
    extra: tuple[str, ...] = ()

    def overrides(self, folder: Path, seed: int) -> list[str]:
        return [
            f"model.path={self.model}",
            f"data.path={self.data}",
            f"train.run_dir={folder}",
            f"train.seed={seed}",
            f"train.steps={MAX_STEPS}",
            f"train.max_response_tokens={self.tokens}",
            *SETTINGS,
            *self.extra,
        ]


def study_runs(out: Path, arms: Sequence[str], seeds: Sequence[int]) -> list[StudyRun]:
    """All arms of one seed before the next seed, so that an interrupted study has complete pairs."""
    return [StudyRun(arm, seed, out / "runs" / f"{_slug(arm)}_seed_{seed}") for seed in seeds for arm in arms]


def training(run: StudyRun, inputs: Inputs) -> Job:
    settings = [*inputs.overrides(run.folder, run.seed), *ARMS[run.arm], "resume=auto"]
    return Job(
        name=f"{run.arm}, seed {run.seed}",
        done=run.folder / f"{inputs.tokens}_tokens.done",
        log=run.folder.with_suffix(".log"),
        script="train.py",
        arguments=("--config", TINY_CONFIG, *settings),
    )


def _slug(arm: str) -> str:
    return arm.lower().replace(",", "").replace(" ", "_")
