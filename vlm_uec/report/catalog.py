"""The metrics that a report shows, grouped by chart."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_uec.telemetry.alarms import ENTROPY

VALIDATION = "eval/pass@"


@dataclass(frozen=True)
class Chart:
    """Metrics of one unit. A name that ends in @ or / selects all metrics with this prefix."""

    title: str
    metrics: tuple[str, ...]
    dots: bool = False
    logarithmic: bool = False  # if all values are positive


SECTIONS: dict[str, tuple[Chart, ...]] = {
    "Learning": (
        Chart("Reward of regular rollouts", ("reward/accuracy", "reward/format")),
        Chart("Pass@k on held-out problems; ▲ checkpoint", (VALIDATION,), dots=True),
        Chart("Difficult and rescued prompts", ("uec/difficult_prompts", "uec/rescued_prompts")),
        Chart("Verdicts, share of responses", ("verdict/",)),
    ),
    "Entropy": (
        Chart("Entropy in nats: exact and estimated", (ENTROPY, "entropy/estimate"), logarithmic=True),
        Chart(
            "Covariance (negative: entropy rises)",
            ("covariance/regular", "covariance/exploration", "covariance/replay"),
        ),
        Chart("Entropy change per update, measured", ("update/entropy_change", "replay/entropy_change")),
    ),
    "Responses": (
        Chart("Response tokens", ("response_tokens/mean", "response_tokens/max")),
        Chart("Truncated responses, share", ("truncated_fraction",)),
        Chart("Explored responses", ("uec/explored_responses",)),
        Chart(
            "Retained and dropped trajectories",
            ("uec/retained_regular", "uec/retained_exploration", "uec/dropped_overlong"),
        ),
        Chart("Buffer sizes, trajectories", ("uec/pending", "uec/replay_size")),
        Chart("Age of trajectories trained on, in steps", ("uec/trained_age", "uec/replay_age")),
    ),
    "Optimisation": (
        Chart("Policy loss", ("loss/policy", "replay/loss/policy")),
        Chart("KL to the reference, nats", ("kl/reference",)),
        Chart("Clipped tokens, share", ("clip_fraction/low", "clip_fraction/high")),
        Chart("Gradient norm", ("grad_norm", "replay/grad_norm")),
        Chart("Learning rate", ("lr",)),
        Chart("Skipped updates", ("update/skipped",), dots=True),
    ),
    "Speed": (
        Chart("Tokens per second", ("tokens_per_second",)),
        Chart("Peak memory, GiB", ("memory/peak_gib",)),
    ),
}
