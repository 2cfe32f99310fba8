"""The scalar metrics of a step. A metric that does not apply to a step is absent."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from statistics import fmean

import torch

from vlm_uec.collector import Experience
from vlm_uec.trainer import StepOutcome
from vlm_uec.types import Trajectory
from vlm_uec.update.learner import UpdateStats
from vlm_uec.verifier import VERDICT_KINDS


def step_metrics(step: int, outcome: StepOutcome) -> dict[str, float]:
    """The metrics computed from a step's outcome; the run adds those of buffers and time."""
    trained, replayed = outcome.update.trajectories, outcome.replay.trajectories
    return {
        **experience_metrics(outcome.experience),
        "uec/retained_regular": outcome.retained.regular,
        "uec/retained_exploration": outcome.retained.explored,
        "uec/dropped_overlong": outcome.retained.dropped_overlong,
        **update_metrics(outcome.update.stats),
        **replay_metrics(outcome.replay.stats),
        **({"uec/trained_age": fmean(step - t.step for t in trained)} if trained else {}),
        **({"uec/replay_age": fmean(step - t.step for t in replayed)} if replayed else {}),
    }


def experience_metrics(experience: Experience) -> dict[str, float]:
    """Rewards, entropy and lengths of the regular rollouts, and counts of the exploration."""
    regular = experience.regular
    lengths = [len(t.response.tokens) for t in regular]
    return {
        "reward/accuracy": fmean(t.reward.accuracy for t in regular),
        "reward/format": fmean(t.reward.format for t in regular),
        "reward/total": fmean(t.reward.total for t in regular),
        "entropy/exact": float(torch.cat([t.response.entropy for t in regular]).mean()),
        "entropy/estimate": -float(torch.cat([t.response.policy_logprobs for t in regular]).mean()),
        "sampler/kept_mass": float(torch.cat([t.response.kept_mass for t in regular]).mean()),
        "response_tokens/mean": fmean(lengths),
        "response_tokens/max": max(lengths),
        "truncated_fraction": fmean(t.response.truncated for t in regular),
        **_mismatch([*regular, *experience.explored]),
        **_verdict_shares(regular),
        "uec/difficult_prompts": experience.difficult_prompts,
        "uec/rescued_prompts": experience.rescued_prompts,
        "uec/explored_responses": len(experience.explored),
    }


def _mismatch(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """|log ratio| of another engine's model to the policy over all tokens; empty for the native engine."""
    ratios = [t.response.mismatch for t in trajectories if t.response.mismatch is not None]
    if not ratios:
        return {}
    sizes = torch.cat(ratios).abs()
    return {"sampler/mismatch_mean": float(sizes.mean()), "sampler/mismatch_max": float(sizes.max())}


def _verdict_shares(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """Shares of the verifier's verdicts; empty with a plug-in reward function."""
    kinds = [t.reward.verdict for t in trajectories if t.reward.verdict is not None]
    return {f"verdict/{kind}": kinds.count(kind) / len(kinds) for kind in VERDICT_KINDS} if kinds else {}


def update_metrics(updates: Sequence[UpdateStats]) -> dict[str, float]:
    """Means over the step's optimizer steps; empty for a step without updates.

    Steps skipped for a non-finite loss or gradient are only counted.
    """
    skipped = [update for update in updates if update.skipped]
    updates = [update for update in updates if not update.skipped]
    counts: dict[str, float] = {}
    if skipped:
        counts["update/skipped"] = len(skipped)
        counts["update/skipped_trajectories"] = sum(update.trajectories for update in skipped)
    if not updates:
        return counts
    return {
        **counts,
        "loss/policy": fmean(update.policy_loss for update in updates),
        "clip_fraction/low": fmean(update.clipped_low for update in updates),
        "clip_fraction/high": fmean(update.clipped_high for update in updates),
        "ratio/mean": fmean(update.ratio_mean for update in updates),
        "ratio/max": max(update.ratio_max for update in updates),
        "grad_norm": fmean(update.grad_norm for update in updates),
        "update/optimizer_steps": len(updates),
        "update/trajectories": sum(update.trajectories for update in updates),
        **_kl(updates),
        **_entropy_changes(updates),
        **_covariances(updates),
    }


def _kl(updates: Sequence[UpdateStats]) -> dict[str, float]:
    losses = [update.kl_loss for update in updates if update.kl_loss is not None]
    means = [update.kl for update in updates if update.kl is not None]
    return {"loss/kl": fmean(losses), "kl/reference": fmean(means)} if losses else {}


def _entropy_changes(updates: Sequence[UpdateStats]) -> dict[str, float]:
    measured = [update.entropy_change for update in updates if update.entropy_change is not None]
    predicted = [update.entropy_predicted for update in updates if update.entropy_predicted is not None]
    if not measured:
        return {}
    return {"update/entropy_change": fmean(measured), "update/entropy_predicted": fmean(predicted)}


def replay_metrics(replays: Sequence[UpdateStats]) -> dict[str, float]:
    """`update_metrics` of the step's replay, under the prefix `replay/`."""
    values = update_metrics(replays)
    covariance = {key: values.pop(key) for key in list(values) if key.startswith("covariance/")}
    return {**covariance, **{f"replay/{key.removeprefix('update/')}": value for key, value in values.items()}}


def _covariances(updates: Sequence[UpdateStats]) -> dict[str, float]:
    sources = sorted({source for update in updates for source in update.covariance})
    return {
        f"covariance/{source}": fmean(u.covariance[source] for u in updates if source in u.covariance)
        for source in sources
    }


def sampled_tokens(trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int]) -> int:
    """Prompt and response tokens of all trajectories: the count of which other trainers report throughput."""
    return sum(prompt_tokens[t.response.problem_id] + len(t.response.tokens) for t in trajectories)


def peak_memory_gib() -> float:
    """Peak GiB of the accelerator's allocator since the start, or of the process on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
