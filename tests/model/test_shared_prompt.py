"""A row of one prompt and G responses is equivalent to G separate sequences.

The reference is transformers' own `forward` of the full model with SDPA, one sequence at a time, with
positions from its `get_rope_index` and a full softmax over the allowed ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from tests.support.oracles import plain_scores
from tests.support.tiny import random_prompt, random_response, tiny_model, tiny_policy
from vlm_uec.model.load import FrozenParts
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.types import EncodedPrompt

Pair = tuple[torch.Tensor, torch.Tensor]


def _responses(*lengths: int, seed: int = 50) -> tuple[torch.Tensor, ...]:
    return tuple(random_response(length, seed + index) for index, length in enumerate(lengths))


ROWS = {
    "one image, eight responses": [Row(random_prompt("a", [(8, 8)]), _responses(5, 1, 9, 3, 7, 2, 6, 4))],
    "several images": [Row(random_prompt("a", [(4, 8), (8, 4), (2, 2)]), _responses(4, 6, 1))],
    "text only": [Row(random_prompt("a", text=9), _responses(4, 6, 1))],
    "one response": [Row(random_prompt("a", [(4, 4)]), _responses(6))],
    "several rows, with and without images": [
        Row(random_prompt("a", [(4, 8)], seed=1), _responses(4, 2, seed=60)),
        Row(random_prompt("b", seed=2), _responses(3, 5, 1, seed=70)),
        Row(random_prompt("c", [(8, 4), (4, 4)], seed=3), _responses(6, seed=80)),
    ],
}


def _all_separate(model: Any, rows: Sequence[Row]) -> Pair:
    pairs = [plain_scores(model, row.prompt, tokens) for row in rows for tokens in row.responses]
    return torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])


def _gradients(module: torch.nn.Module, outputs: Pair) -> dict[str, torch.Tensor]:
    """Gradients of a random weighted sum of all log-probs and entropies."""
    generator = torch.Generator().manual_seed(9)
    weights = torch.randn(2, len(outputs[0]), generator=generator)
    module.zero_grad()
    (outputs[0] * weights[0] + outputs[1] * weights[1]).sum().backward()
    return {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
        for name, weight in module.named_parameters()
    }


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("name", ROWS)
def test_scores_equal_those_of_separate_sequences(name: str, tied: bool) -> None:
    policy = tiny_policy(tied=tied)
    with torch.no_grad():
        packed, separate = policy(pack(ROWS[name])), _all_separate(tiny_model(tied=tied), ROWS[name])
    assert separate[0].std() > 0.5  # with flat logits the mask would have no effect
    torch.testing.assert_close(packed[0], separate[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(packed[1], separate[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("name", ROWS)
def test_gradients_equal_those_of_separate_sequences(name: str, tied: bool) -> None:
    """To 1e-4 of each weight's gradient norm, including the vision tower's."""
    policy, model = tiny_policy(tied=tied), tiny_model(tied=tied)
    separate = _gradients(model, _all_separate(model, ROWS[name]))
    packed = _gradients(policy, policy(pack(ROWS[name])))
    assert len(packed) == len(separate)
    has_images = any(len(row.prompt.image_grid_thw) for row in ROWS[name])
    largest = max(float(gradient.norm()) for gradient in separate.values())
    for parameter, expected in separate.items():
        assert (packed[f"model.{parameter}"] - expected).norm() <= 1e-4 * expected.norm() + 1e-7 * largest, (
            parameter
        )
        if has_images and parameter.endswith("weight"):
            assert expected.norm() > 0, parameter


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_head_is_the_models_own(tied: bool) -> None:
    policy = tiny_policy(tied=tied)
    embeddings = policy.model.model.language_model.embed_tokens.weight
    assert policy.head.weight is policy.model.lm_head.weight
    assert (policy.head.weight is embeddings) == tied


def test_a_text_only_row_gives_the_tower_zero_gradients() -> None:
    """With a gradient of None, this rank would miss a reduction that the others wait for."""
    policy = tiny_policy()
    policy(pack(ROWS["text only"]))[0].sum().backward()
    for name, parameter in policy.model.model.visual.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name


PARTS = {
    "tower": FrozenParts(tower=True),
    "projector": FrozenParts(projector=True),
    "both": FrozenParts(tower=True, projector=True),
}


def _assert_gradients(frozen: Policy, free: Policy, packed: Pair, separate: Pair, atol: float) -> None:
    """Gradients of trained parts are equal; frozen parts have none."""
    gradients, expected = _gradients(frozen, packed), _gradients(free, separate)
    for name, parameter in frozen.named_parameters():
        vision = ".visual." in name
        is_frozen = vision and (frozen.frozen.projector if ".merger." in name else frozen.frozen.tower)
        assert parameter.requires_grad != is_frozen, name
        if is_frozen:
            assert parameter.grad is None, name
        elif name in gradients:
            torch.testing.assert_close(gradients[name], expected[name], rtol=1e-4, atol=atol)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ROWS)
def test_a_frozen_part_gives_the_same_scores_and_gets_no_gradient(name: str, part: str) -> None:
    frozen, free = tiny_policy(frozen=PARTS[part]), tiny_policy()
    packed, separate = frozen(pack(ROWS[name])), free(pack(ROWS[name]))
    torch.testing.assert_close(packed, separate, rtol=0, atol=1e-5)
    _assert_gradients(frozen, free, packed, separate, atol=1e-5)


@pytest.mark.parametrize("part", ["tower", "both"])
@pytest.mark.parametrize("name", ROWS)
def test_precomputed_features_replace_the_tower(name: str, part: str) -> None:
    """Also for rows without images among rows with images."""
    frozen, free = tiny_policy(frozen=PARTS[part]), tiny_policy()
    with torch.no_grad():
        features = [frozen.frozen_features(row.prompt) for row in ROWS[name]]
    packed, separate = frozen(pack(ROWS[name], features)), free(pack(ROWS[name]))
    torch.testing.assert_close(packed, separate, rtol=0, atol=1e-5)
    _assert_gradients(frozen, free, packed, separate, atol=1e-4)


def test_a_text_only_row_gives_a_trained_projector_zero_gradients() -> None:
    """With a gradient of None, this rank would miss a reduction that the others wait for."""
    policy = tiny_policy(frozen=PARTS["tower"])
    features = [policy.frozen_features(row.prompt) for row in ROWS["text only"]]
    policy(pack(ROWS["text only"], features))[0].sum().backward()
    for name, parameter in policy.model.model.visual.merger.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name


def test_a_responses_scores_do_not_depend_on_other_responses() -> None:
    """Other responses, before and after it, do not change its log-probs."""
    policy, prompt = tiny_policy(), random_prompt("a", [(4, 8)])
    response = random_response(6, 1)
    one = Row(prompt, (random_response(4, 2), response, random_response(5, 3)))
    other = Row(prompt, (random_response(4, 12), response, random_response(5, 13)))
    with torch.no_grad():
        first, second = policy(pack([one]))[0][4:10], policy(pack([other]))[0][4:10]
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


def test_an_image_changes_the_scores() -> None:
    """Otherwise the comparisons above could pass with images ignored on both sides."""
    policy, prompt = tiny_policy(), random_prompt("a", [(4, 8)])
    dark = EncodedPrompt(
        "b", prompt.input_ids, prompt.pixel_values * 0, prompt.image_grid_thw, prompt.position_ids
    )
    with torch.no_grad():
        shown, hidden = (policy(pack([Row(one, _responses(6))]))[0] for one in (prompt, dark))
    assert (shown - hidden).abs().max() > 0.01


def test_activation_checkpointing_changes_nothing() -> None:
    plain, recomputing = tiny_policy(), tiny_policy()
    recomputing.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    recomputing.train()
    rows = ROWS["several rows, with and without images"]
    expected = _gradients(plain, plain(pack(rows)))
    for name, gradient in _gradients(recomputing, recomputing(pack(rows))).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-7)
