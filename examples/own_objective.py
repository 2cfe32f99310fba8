"""A policy objective of your own: REINFORCE, with one function and one entry of the table of objectives.

python examples/own_objective.py --config examples/own_data.yaml algorithm=reinforce
deepspeed examples/own_objective.py --config examples/own_data.yaml algorithm=reinforce+uec

Every option of train.py works: this script only adds the entry before it calls train.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # the repository's root, for train.py

from train import main
from vlm_uec.algorithm.losses import SurrogateTerms
from vlm_uec.algorithm.objectives import OBJECTIVES, Objective, TokenLoss


def reinforce(logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor) -> SurrogateTerms:
    """-A log p, all [T] (Williams 1992): the ratio to the old policy is reported, but has no effect."""
    ratio = torch.exp(logprobs - old_logprobs).detach()
    not_clipped = torch.zeros_like(advantages, dtype=torch.bool)
    return SurrogateTerms(
        loss=-advantages * logprobs, ratio=ratio, clipped_low=not_clipped, clipped_high=not_clipped
    )


OBJECTIVES["reinforce"] = Objective(
    TokenLoss("reinforce", reinforce), source="Williams 1992", preset={"loss": {"kl_coef": 0.0}}
)

if __name__ == "__main__":
    sys.exit(main())
