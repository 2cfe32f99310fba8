"""Finds out whether a run had anything to learn from, and says what to try if it did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = Mapping[str, object]

_UPDATES = ("update/optimizer_steps", "replay/optimizer_steps")


def no_learning(rows: Sequence[Row]) -> str | None:
    """The reason why the steps of `rows` (lines of metrics.jsonl) taught nothing; None if they did.

    Right and wrong responses to the same prompt are what a run learns from. Rows without rollouts, such as
    the validation of the starting model, do not count.
    """
    accuracies = [row["reward/accuracy"] for row in rows if "reward/accuracy" in row]
    if not accuracies:
        return None
    steps = f"{len(accuracies)} step" + "s" * (len(accuracies) > 1)
    if all(accuracy == 0 for accuracy in accuracies) and not _total(rows, "uec/rescued_prompts"):
        return (
            f"no response was right in {steps}, so there was nothing to reinforce; read some responses in "
            "samples/, and measure the starting model with eval/passk.py --samples 16: it must solve some "
            "problems. Try easier problems, another prompt.template, or a larger rollout.max_tokens if "
            "responses are truncated"
        )
    if all(accuracy == 1 for accuracy in accuracies):
        return f"every response was right in {steps}, so there was nothing to improve; try harder problems"
    if not sum(_total(rows, name) for name in _UPDATES):
        return f"no update was made in {steps}: {_missing_updates(rows)}"
    return None


def _missing_updates(rows: Sequence[Row]) -> str:
    if _total(rows, "update/skipped"):
        return "all were skipped for a non-finite loss or gradient; lower optim.lr"
    waiting = rows[-1].get("uec/pending")
    if isinstance(waiting, int | float) and waiting:
        return (
            f"{waiting:.0f} trajectories wait for a full batch of rollout.prompts x rollout.n; raise "
            "train.steps, lower rollout.prompts, or set pending.enabled=false"
        )
    return (
        "no trajectory was retained; raise rollout.n, so that prompts have right and wrong responses, or "
        "lower retention.threshold"
    )


def _total(rows: Sequence[Row], name: str) -> float:
    values = (row.get(name) for row in rows)
    return sum(value for value in values if isinstance(value, int | float))
