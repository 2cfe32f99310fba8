"""Group-relative advantages: GRPO, DeepSeekMath (arXiv 2402.03300), section 4.1.2, outcome supervision."""

from __future__ import annotations

import math
from collections.abc import Sequence

_STD_FLOOR = 1e-6


def group_advantages(rewards: Sequence[float], *, scaled: bool = True) -> list[float]:
    """Advantages of one group: (R - mean) / (std + 1e-6), with the sample standard deviation (ddof = 1).

    With `scaled=False`: R - mean, so that easy and hard problems do not weigh more than medium ones
    (Dr. GRPO, arXiv 2503.20783).
    Computed in float64. All advantages are exactly 0.0 if all rewards are equal or the group has one member.
    Raises ValueError for a non-finite reward, which would make the whole group NaN.
    """
    _require_finite(rewards)
    # Rounding alone would give eight rewards of 0.7 an advantage above the retention threshold.
    if all(reward == rewards[0] for reward in rewards):
        return [0.0] * len(rewards)
    # fsum rounds once, so an advantage cannot depend on the response's position in the group.
    mean = math.fsum(rewards) / len(rewards)
    if not scaled:
        return [reward - mean for reward in rewards]
    variance = math.fsum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1)
    return [(reward - mean) / (math.sqrt(variance) + _STD_FLOOR) for reward in rewards]


def _require_finite(rewards: Sequence[float]) -> None:
    for index, reward in enumerate(rewards):
        if not math.isfinite(reward):
            raise ValueError(f"reward {index} of the group is {reward}; a reward must be a finite number")
