"""Selects the prompts for targeted exploration (UEC-RL: the difficult set D)."""

from __future__ import annotations

from collections.abc import Sequence


def is_difficult(accuracies: Sequence[float]) -> bool:
    """True if no regular response to the prompt was right: max accuracy is 0.

    Takes accuracies, never reward totals: a format term keeps the total above zero and would silently
    disable exploration. Raises ValueError for no accuracies.
    """
    if not accuracies:
        raise ValueError("a prompt without responses has no difficulty; pass its regular accuracies")
    return max(accuracies) == 0
