"""Selects the prompts for targeted exploration (UEC-RL: the difficult set D)."""

from __future__ import annotations

from collections.abc import Sequence


def is_difficult(accuracies: Sequence[float]) -> bool:
    """Whether no regular response to the prompt was right: the maximum accuracy is 0.

    Takes accuracies, not reward totals: a format reward keeps the total above zero and would silently
    disable exploration. Raises ValueError for an empty sequence.
    """
    if not accuracies:
        raise ValueError("a prompt without responses has no difficulty; pass its regular accuracies")
    return max(accuracies) == 0
