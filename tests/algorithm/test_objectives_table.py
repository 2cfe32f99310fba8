"""An objective is one entry of one table: a toy entry is configured, documented and computed without more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vlm_uec.algorithm.losses import SurrogateTerms
from vlm_uec.algorithm.objectives import OBJECTIVES, Loss, Objective, algorithms, losses, surrogate
from vlm_uec.config import load_config
from vlm_uec.config.docs import config_page
from vlm_uec.errors import UserError

RECIPE = Path(__file__).parents[2] / "configs" / "tiny_cpu.yaml"


def _toy_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, *, clip_high: float
) -> SurrogateTerms:
    never = torch.zeros_like(advantages, dtype=torch.bool)
    ratio = torch.exp(logprobs - old_logprobs)
    return SurrogateTerms(-clip_high * advantages * ratio, ratio.detach(), never, never)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Objective(Loss("toy", _toy_loss, ("clip_high",)), "nowhere", {"loss": {"clip_high": 0.5}})
    monkeypatch.setitem(OBJECTIVES, "toy", entry)


@pytest.mark.usefixtures("toy")
def test_a_new_entry_is_an_algorithm_with_and_without_uec() -> None:
    plain, uec = (load_config(RECIPE, [f"algorithm={name}"]) for name in ("toy", "toy+uec"))
    for config in (plain, uec):
        assert (config.loss.name, config.loss.clip_high) == ("toy", 0.5)
    assert not plain.exploration.enabled
    assert uec.exploration.enabled and uec.stabilizer.enabled


@pytest.mark.usefixtures("toy")
def test_a_new_entry_is_documented() -> None:
    page = config_page()
    assert '| `toy` | `loss.name = "toy"`, `loss.clip_high = 0.5` |' in page
    assert '"toy" or "toy+uec"' in page


@pytest.mark.usefixtures("toy")
def test_a_new_entry_is_what_the_learner_computes() -> None:
    """0.5 * A * ratio, negated: ratios 2 and 1, advantages 3 and -1."""
    config = load_config(RECIPE, ["algorithm=toy"])
    old = torch.tensor([0.0, -1.0])
    new = old + torch.tensor([2.0, 1.0]).log()
    terms = surrogate(config.loss.name, vars(config.loss), new, old, torch.tensor([3.0, -1.0]), (2,))
    assert terms.loss.tolist() == pytest.approx([-3.0, 0.5])


def test_without_the_entry_its_name_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match=r'algorithm = \'toy\': must be "grpo", "uec", .* or "kl_cov\+uec"'):
        load_config(RECIPE, ["algorithm=toy"])
    with pytest.raises(UserError, match=r'loss\.name = \'toy\': must be "grpo", .* or "unclipped"'):
        load_config(RECIPE, ["loss.name=toy"])


def test_every_loss_reads_keys_that_the_config_has() -> None:
    settings = vars(load_config(RECIPE).loss)
    assert {key for loss in losses().values() for key in loss.keys} <= settings.keys()
    assert len(set(algorithms())) == 2 * len(OBJECTIVES)
