"""Shares of a run's time by phase, and the setting that shortens the largest one."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX, TOTAL = "time/", "time/step"
MIN_SHARE = 0.01  # smaller phases are not printed
ADVICE = {
    "rollout": "raise rollout.slots (native engine) if memory is left, or lower rollout.max_tokens",
    "exploration": "lower exploration.n",
    "reward": "make reward.function faster",
    "old": "raise optim.minibatch: only mini-batches after the first need old log-probs",
    "reference": "set loss.kl_coef to 0, which needs no reference",
    "update": "raise optim.microbatch_tokens if memory is left; without memory pressure set "
    "model.activation_checkpointing to false; freeze the tower with model.freeze_vision",
    "replay": "raise stabilizer.frequency, the steps from one replay to the next",
    "eval": "raise train.eval_every or lower evaluation.problems",
    "checkpoint": "raise train.save_every",
    "other": "check the speed of the disk under train.run_dir",
}


def time_shares(times: Mapping[str, float]) -> dict[str, float]:
    """Each phase's share of `time/step`, largest first, without those below `MIN_SHARE`."""
    total = times[TOTAL]
    phases = {
        name.removeprefix(PREFIX): seconds / total
        for name, seconds in times.items()
        if name.startswith(PREFIX) and name != TOTAL and seconds >= MIN_SHARE * total > 0
    }
    return dict(sorted(phases.items(), key=lambda phase: -phase[1]))


def shares_line(times: Mapping[str, float]) -> str:
    """For example `update 61%, rollout 38%`."""
    return ", ".join(f"{name} {share:.0%}" for name, share in time_shares(times).items())


def advice(times: Mapping[str, float]) -> str:
    """The last line of a run, from its summed times."""
    largest = next(iter(time_shares(times)))
    hint = ADVICE[largest]
    return f"time: {shares_line(times)} of {times[TOTAL]:.0f} s. To shorten {largest}, the largest: {hint}."
