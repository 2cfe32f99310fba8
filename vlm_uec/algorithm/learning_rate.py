"""The learning rate of each trainer step: warm-up, then decay."""

from __future__ import annotations

import math
from typing import Literal

Decay = Literal["constant", "linear", "cosine"]


def learning_rate(peak: float, step: int, *, steps: int, warmup: int, decay: Decay, floor: float) -> float:
    """The rate of trainer step `step` (1 ... `steps`); a resumed run has it too, because nothing else counts.

    In the first `warmup` steps it is peak * step / warmup. The later steps have p = 0, 1/d, ..., (d - 1)/d,
    with d = steps - warmup, and the rate peak * (floor + (1 - floor) f(p)): f is 1 (constant), 1 - p (linear)
    or (1 + cos(pi p)) / 2 (cosine; SGDR, arXiv 1608.03983, equation 5). So no step has a rate of 0, and
    floor * peak is the rate that would follow the last one. Steps beyond `steps` have it.
    """
    if step <= warmup:
        return peak * step / warmup
    progress = min(1.0, (step - 1 - warmup) / max(1, steps - warmup))
    remaining = {
        "constant": 1.0,
        "linear": 1 - progress,
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
    }[decay]
    return peak * (floor + (1 - floor) * remaining)
