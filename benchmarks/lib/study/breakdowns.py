"""Pass@k by kind of problem, and entropy by kind of token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from benchmarks.lib.study.results import K
from eval.estimators import mean_pass_at_k
from vlm_uec.types import Group


def pass_by_kind(
    groups: Iterable[Group], right: Callable[[Group], int], kinds: Mapping[str, str]
) -> dict[str, Any]:
    """Pass@1 and Pass@K of each kind. `kinds`: by problem id; `right`: counts a group's right responses."""
    counts: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for group in groups:
        counts[kinds[group.prompt.problem_id]].append((len(group.responses), right(group)))
    return {
        kind: {f"pass_{name}": mean_pass_at_k(counted, k) for name, k in (("1", 1), ("k", K))}
        for kind, counted in sorted(counts.items())
    }


def entropy_by_token(groups: Iterable[Group], is_digit: torch.Tensor) -> dict[str, float]:
    """Mean exact entropy of sampled digits and of other tokens, and the digits' share of the total entropy.

    `is_digit` [V] bool.
    """
    tokens = torch.cat([response.tokens for group in groups for response in group.responses])
    entropy = torch.cat([response.entropy for group in groups for response in group.responses]).double()
    digits = is_digit[tokens]
    return {
        "digits": float(entropy[digits].mean()),
        "others": float(entropy[~digits].mean()),
        "digits_share": float(entropy[digits].sum() / entropy.sum()),
    }
