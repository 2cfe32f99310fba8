"""Fixed trajectories on two ranks, on one, and in plain PyTorch give the same losses, norms and weights.

The PyTorch version uses neither DeepSpeed nor packing nor the package's losses: one sequence at a time in
transformers' forward pass, an explicit objective, autograd, and torch's gradient clipping and AdamW.
"""

from __future__ import annotations

import copy
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from tests.support.fixed_trajectories import MINIBATCH, PROBLEMS, fixed_config, fixed_encoder
from tests.support.launch import execute, launch, model_copy
from vlm_uec.checkpoint.storage import save_scored
from vlm_uec.config import Config
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.model.load import VISION_TOKENS
from vlm_uec.types import EncodedPrompt, Response, Reward, ScoredTrajectory, Trajectory
from vlm_uec.zero.checkpoint import convert_to_universal, restricted_pickles

pytestmark = pytest.mark.end_to_end

LENGTHS = {
    "wide": [9, 1, 5, 12],
    "two": [3, 8],
    "text": [7, 2, 6],
    "square": [4, 4, 10, 1, 5],
    "tall": [11, 6],
}
ADVANTAGES = [1.5, -0.5, -0.5, 2.0, 0.7, -0.7, 1.1, -1.1, 0.0, -2.0, 0.5, 0.5, 1.0, -1.0, 0.3, -1.3]
Tensors = list[torch.Tensor]


class TransformersPolicy:
    """The policy by transformers alone."""

    def __init__(self, config: Config, encoder: PromptEncoder) -> None:
        self.model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(config.model.path).float()
        self.image_pad = encoder.image_pad_id
        known = encoder.tokenizer.get_vocab()
        banned = {known[token] for token in VISION_TOKENS}
        vocabulary = self.model.config.text_config.vocab_size
        self.allowed = [
            token for token in range(min(vocabulary, len(encoder.tokenizer))) if token not in banned
        ]

    def logprobs(self, prompt: EncodedPrompt, tokens: torch.Tensor) -> torch.Tensor:
        ids = torch.cat([prompt.input_ids, tokens])[None]
        pictures = (
            {"pixel_values": prompt.pixel_values, "image_grid_thw": prompt.image_grid_thw}
            if len(prompt.image_grid_thw)
            else {}
        )
        types = (ids == self.image_pad).int()
        logits = self.model(input_ids=ids, mm_token_type_ids=types, use_cache=False, **pictures).logits
        allowed = logits[0, prompt.length - 1 : -1].float()[:, self.allowed].log_softmax(-1)
        columns = torch.tensor([self.allowed.index(token) for token in tokens.tolist()])
        return allowed[torch.arange(len(tokens)), columns]


def _plain_loss(
    plain: TransformersPolicy, batch: Sequence[ScoredTrajectory], prompts: Mapping[str, EncodedPrompt]
) -> Tensors:
    """Policy loss and KL loss of a mini-batch: token means over all of its tokens."""
    policy, divergence, count = torch.zeros(()), torch.zeros(()), 0
    for item in batch:
        response, advantage = item.trajectory.response, item.trajectory.advantage
        new = plain.logprobs(prompts[response.problem_id], response.tokens)
        for logprob, old, reference in zip(
            new, item.old_logprobs, _not_none(item.reference_logprobs), strict=True
        ):
            ratio = (logprob - old).exp()
            clipped = ratio.clamp(1 - 0.1, 1 + 0.2)
            objective = torch.minimum(ratio * advantage, clipped * advantage)
            if advantage < 0:
                objective = torch.maximum(objective, torch.tensor(2.0 * advantage))
            policy = policy - objective
            divergence = divergence + (reference - logprob).exp() - (reference - logprob) - 1
            count += 1
    return [policy / count, 0.05 * divergence / count]


def _not_none(tensor: torch.Tensor | None) -> torch.Tensor:
    assert tensor is not None
    return tensor


def _fixed_batch(plain: TransformersPolicy, prompts: Mapping[str, EncodedPrompt]) -> list[ScoredTrajectory]:
    """Old and reference log-probs differ enough from the policy's for every branch of the loss."""
    generator = torch.Generator().manual_seed(3)
    names = [(name, index) for name, lengths in LENGTHS.items() for index in range(len(lengths))]
    batch = []
    for (name, index), advantage in zip(names, ADVANTAGES, strict=True):
        length = LENGTHS[name][index]
        tokens = torch.tensor(plain.allowed)[torch.randint(3, 400, (length,), generator=generator)]
        with torch.no_grad():
            exact = plain.logprobs(prompts[name], tokens)
        old, reference = (exact + 0.6 * torch.randn(length, generator=generator) for _ in range(2))
        response = Response(name, index, "regular", tokens, old, old, old, old, truncated=False)
        trajectory = Trajectory(response, Reward(0.0, 0.0, 0.0, ""), advantage, step=1)
        batch.append(ScoredTrajectory(trajectory, old, reference))
    return batch


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fixed")
    shutil.copytree(model_copy(), path / "model")
    return path


@pytest.fixture(scope="module")
def plain(directory: Path) -> dict[str, Any]:
    """Writes the batch; returns its losses, norms, scores and weights in plain PyTorch."""
    config = fixed_config(directory)
    encoder = fixed_encoder(config)
    policy, prompts = (
        TransformersPolicy(config, encoder),
        {name: encoder(problem) for name, problem in PROBLEMS.items()},
    )
    before = copy.deepcopy(policy.model.state_dict())
    batch = _fixed_batch(policy, prompts)
    save_scored(directory / "batch", batch)
    with torch.no_grad():
        items = [item.trajectory.response for item in batch]
        scores = [policy.logprobs(prompts[response.problem_id], response.tokens) for response in items]
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=1e-3, weight_decay=0.01)
    stats = []
    for part in (batch[:MINIBATCH], batch[MINIBATCH:]):
        losses = _plain_loss(policy, part, prompts)
        optimizer.zero_grad()
        sum(losses, torch.zeros(())).backward()
        norm = torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 0.5)
        optimizer.step()
        stats.append({"policy_loss": losses[0].item(), "kl_loss": losses[1].item(), "grad_norm": norm.item()})
    with torch.no_grad():
        later = [policy.logprobs(prompts[item.problem_id], item.tokens) for item in items[:MINIBATCH]]
    weights = {"before": before, "after": policy.model.state_dict()}
    return {"stats": stats, "scores": scores, "scores after": later, **weights}


@pytest.fixture(scope="module")
def ranks(plain: object, directory: Path) -> dict[int, dict[str, Any]]:
    launch("tests/support/fixed_trajectories.py", str(directory), ranks=2)
    alone = execute([sys.executable, "tests/support/fixed_trajectories.py", str(directory)])
    assert alone.returncode == 0, alone.stderr
    return {
        count: json.loads((directory / f"results-{count}.json").read_text(encoding="utf-8"))
        for count in (1, 2)
    }


def test_every_number_of_an_update_is_the_same_on_two_ranks(ranks: dict[int, dict[str, Any]]) -> None:
    assert len(ranks[1]["stats"]) == 2
    for one, two in zip(ranks[1]["stats"], ranks[2]["stats"], strict=True):
        assert one.pop("suspects") == two.pop("suspects") == []
        assert one.pop("covariance") == pytest.approx(two.pop("covariance"), rel=1e-4)
        assert one == pytest.approx(two, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("count", [1, 2])
def test_losses_and_norms_equal_plain_pytorch(
    plain: dict[str, Any], ranks: dict[int, dict[str, Any]], count: int
) -> None:
    """The second update follows a step of Adam, which divides tiny gradients by themselves."""
    for ours, theirs, rel in zip(ranks[count]["stats"], plain["stats"], (1e-4, 1e-3), strict=True):
        assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=rel)


def test_every_branch_of_the_loss_was_taken(ranks: dict[int, dict[str, Any]]) -> None:
    for update in ranks[2]["stats"]:
        assert update["clipped_low"] > 0
        assert update["clipped_high"] > 0
        assert update["ratio_max"] > 2  # beyond the dual clip
        assert update["kl_loss"] > 0
        assert update["grad_norm"] > 0.5  # the norm was clipped


@pytest.mark.parametrize("count", [1, 2])
def test_scores_are_in_the_order_of_the_batch(
    plain: dict[str, Any], ranks: dict[int, dict[str, Any]], count: int
) -> None:
    """Up to fp32 rounding of both: transformers' scores differ from fp64 by up to 3.4e-5."""
    _assert_close(ranks[count]["reference"], plain["scores"], atol=5e-5)
    _assert_close(ranks[count]["old"][MINIBATCH:], plain["scores"][MINIBATCH:], atol=5e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_the_update_of_the_first_mini_batch_computes_its_old_scores(
    plain: dict[str, Any], ranks: dict[int, dict[str, Any]], count: int
) -> None:
    """By the weights before it. Adam divides tiny gradients by themselves, which amplifies rounding: the
    largest difference is 1.1e-3 on one kind of CPU and below 1e-3 on another."""
    assert ranks[count]["old"][:MINIBATCH] == [None] * MINIBATCH
    _assert_close(ranks[count]["updated"], plain["scores after"], atol=3e-3)
    moved = torch.cat(plain["scores after"]) - torch.cat(plain["scores"][:MINIBATCH])
    assert moved.abs().max() > 0.05


def _assert_close(ours: Sequence[Sequence[float]], expected: Tensors, atol: float) -> None:
    for piece, scores in zip(ours, expected, strict=True):
        torch.testing.assert_close(torch.tensor(piece), scores, rtol=0, atol=atol)


def test_tokens_are_counted_with_and_without_their_shared_prompts(
    directory: Path, ranks: dict[int, dict[str, Any]]
) -> None:
    """The first mini-batch: 4 wide, 2 two, 3 text; the second: 5 square, 2 tall."""
    encoder = fixed_encoder(fixed_config(directory))
    prompt = {name: encoder(problem).length for name, problem in PROBLEMS.items()}
    first, second = ranks[2]["stats"]
    assert (first["trajectories"], second["trajectories"]) == (9, 7)
    assert first["tokens"] == 27 + 11 + 15 + 4 * prompt["wide"] + 2 * prompt["two"] + 3 * prompt["text"]
    assert second["tokens"] == 24 + 17 + 5 * prompt["square"] + 2 * prompt["tall"]


@pytest.mark.parametrize("count", [1, 2])
def test_final_weights_equal_plain_pytorch(
    plain: dict[str, Any], ranks: dict[int, dict[str, Any]], directory: Path, count: int
) -> None:
    """To a hundredth of each weight's change: Adam divides tiny gradients by themselves."""
    exported = Qwen2_5_VLForConditionalGeneration.from_pretrained(directory / f"export-{count}")
    for name, weight in exported.state_dict().items():
        step = (plain["after"][name] - plain["before"][name]).norm()
        assert (weight - plain["after"][name]).norm() <= 0.01 * step, name
        assert step > 0, name


def test_one_rank_loads_the_state_of_two_to_the_last_bit(
    ranks: object, directory: Path, tmp_path: Path
) -> None:
    """Compared in DeepSpeed's universal format: fp32 weights, both moments and the step, by name."""
    for count in (1, 2):
        convert_to_universal(directory / f"zero-{count}" / "zero", tmp_path / str(count))
    files = sorted(path.relative_to(tmp_path / "2") for path in (tmp_path / "2").rglob("*/fp32.pt"))
    assert len(files) > 50
    for name in files:
        for file in (name, name.with_name("exp_avg.pt"), name.with_name("exp_avg_sq.pt")):
            one, two = (torch.load(tmp_path / count / file, weights_only=True) for count in "12")
            assert torch.equal(one, two), file
            assert two.abs().sum() > 0 or "exp" not in file.name
    steps = [_adam_step(tmp_path / count) for count in "12"]
    assert steps[0] == steps[1] > 1


def _adam_step(converted: Path) -> float:
    with restricted_pickles(converted):
        state = torch.load(converted / "zero" / "zero" / "optimizer_state.pt", weights_only=False)
    return float(state["optimizer_state_dict"]["state"][0]["step"])


def test_the_update_after_resharding_is_the_same_on_one_rank_and_on_two(
    ranks: dict[int, dict[str, Any]],
) -> None:
    assert ranks[1]["resharded"] == pytest.approx(ranks[2]["resharded"], rel=1e-4)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("fault", ["nan_loss", "nan_gradient"])
def test_a_nonfinite_update_changes_nothing_on_any_rank(
    ranks: dict[int, dict[str, Any]], count: int, fault: str
) -> None:
    """A NaN loss in one pass names its problems; a NaN gradient names those of the whole batch."""
    report = ranks[count]["nonfinite"]
    assert report[fault]["skipped"]
    assert report[fault]["after"] == report[fault]["before"]
    assert report[fault]["scored"] == 0
    assert report[fault]["suspects"] == report["failed_pass" if fault == "nan_loss" else "all"]
    assert report["failed_pass"] != report["all"]


@pytest.mark.parametrize("count", [1, 2])
def test_the_update_after_a_skipped_one_succeeds(ranks: dict[int, dict[str, Any]], count: int) -> None:
    update = ranks[count]["nonfinite"]["next_update"]
    assert not update["skipped"] and update["scored"] == MINIBATCH
    assert all(after != before for after, before in zip(update["after"], update["before"], strict=True))


@pytest.mark.parametrize("place", ["before_the_pass", "in_forward", "in_backward"])
def test_after_out_of_memory_anywhere_in_a_pass_the_update_uses_half_the_budget(
    ranks: dict[int, dict[str, Any]], place: str
) -> None:
    """Weights and moments are equal to the last bit: the interrupted pass has no effect."""
    report = ranks[1]["out_of_memory"]
    assert report[place].pop("halvings") == [[80, "rank 0 is out of memory (CUDA out of memory)"]]
    assert {**report["half_budget"], "halvings": None} == {**report[place], "halvings": None}
    assert report[place]["after"] != report[place]["before"]
