from __future__ import annotations

import pytest
import torch

from tests.support.oracles import visibility_mask
from tests.support.tiny import IMAGE_PAD, PATCH_WIDTH, random_prompt, random_response
from vlm_uec.model.attention_tiles import Span
from vlm_uec.model.packing import PackedBatch, Row, pack
from vlm_uec.types import EncodedPrompt


def _prompt(ids: list[int]) -> EncodedPrompt:
    positions = torch.arange(len(ids)).expand(3, -1)
    return EncodedPrompt(
        "p", torch.tensor(ids), torch.zeros(0, PATCH_WIDTH), torch.zeros(0, 3, dtype=torch.int64), positions
    )


ROW = Row(_prompt([5, 6, 7]), (torch.tensor([10, 11, 12]), torch.tensor([20]), torch.tensor([30, 31])))


def test_a_row_contains_the_prompt_once() -> None:
    """Last tokens (12, 20, 31) are only targets; each response starts at position 3."""
    batch = pack([ROW])
    assert batch.input_ids.tolist() == [5, 6, 7, 10, 11, 30]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 3]] * 3
    assert batch.segment.tolist() == [0, 0, 0, 1, 1, 3]
    assert batch.targets.tolist() == [10, 11, 12, 20, 30, 31]
    assert batch.predictors.tolist() == [2, 3, 4, 2, 2, 5]
    assert len(batch.input_ids) == 6


def test_rows_are_concatenated_in_order() -> None:
    other = Row(_prompt([8, 9]), (torch.tensor([40, 41]),))
    batch = pack([ROW, other])
    assert batch.input_ids.tolist() == [5, 6, 7, 10, 11, 30, 8, 9, 40]
    assert batch.position_ids[0].tolist() == [0, 1, 2, 3, 4, 3, 0, 1, 2]
    assert batch.row.tolist() == [0] * 6 + [1] * 3
    assert batch.predictors.tolist() == [2, 3, 4, 2, 2, 5, 7, 8]
    assert batch.targets.tolist() == [10, 11, 12, 20, 30, 31, 40, 41]


def test_a_response_attends_to_the_prompt_and_itself_only() -> None:
    other = Row(_prompt([8]), (torch.tensor([40, 41]),))
    batch = pack([ROW, other])
    seen = visibility_mask(batch.row, batch.segment).int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 1, 0, 0],  # 30 attends neither to 10 nor to 11
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1, 1],
    ]


def test_responses_restart_at_the_prompts_next_mrope_position() -> None:
    """A prompt of 2 words, 4 x 8 patches (2 x 4 merged) and 2 words ends at position 2 + 4 + 2 - 1 = 7."""
    prompt = random_prompt("p", [(4, 8)], text=2)
    batch = pack([Row(prompt, (torch.tensor([3, 4, 5]), torch.tensor([6, 7])))])
    assert batch.position_ids[:, prompt.length :].tolist() == [[8, 9, 8]] * 3
    assert torch.equal(batch.position_ids[:, : prompt.length], prompt.position_ids)


def test_patches_and_grids_are_in_row_order() -> None:
    first, second = random_prompt("a", [(4, 4), (2, 4)], seed=1), random_prompt("b", [(2, 2)], seed=2)
    batch = pack([Row(first, (torch.tensor([3]),)), Row(second, (torch.tensor([3]),))])
    assert torch.equal(batch.pixel_values, torch.cat([first.pixel_values, second.pixel_values]))
    assert batch.image_grid_thw.tolist() == [[1, 4, 4], [1, 2, 4], [1, 2, 2]]
    assert int((batch.input_ids == IMAGE_PAD).sum()) * 4 == len(batch.pixel_values)


@pytest.mark.parametrize("lengths", [(1,), (1, 1, 1), (4, 1, 7)])
def test_every_predictor_precedes_its_target(lengths: tuple[int, ...]) -> None:
    """The head's input position has the token before the target, or the prompt's last token."""
    prompt = random_prompt("p")
    responses = tuple(random_response(length, seed) for seed, length in enumerate(lengths))
    batch = pack([Row(prompt, responses)])
    before = torch.cat([torch.cat([prompt.input_ids[-1:], tokens[:-1]]) for tokens in responses])
    assert torch.equal(batch.input_ids[batch.predictors], before)
    assert torch.equal(batch.targets, torch.cat(responses))


def test_spans_describe_the_same_layout() -> None:
    """[20] is only a target, so its span is empty."""
    batch = pack([ROW, Row(_prompt([8, 9]), (torch.tensor([40, 41]),))])
    assert batch.spans == (
        Span(0, 3),
        Span(3, 2, prompt_start=0, prompt_length=3),
        Span(5, 0, prompt_start=0, prompt_length=3),
        Span(5, 1, prompt_start=0, prompt_length=3),
        Span(6, 2, prompt_start=6),
        Span(8, 1, prompt_start=6, prompt_length=2),
    )


def test_precomputed_features_are_in_row_order() -> None:
    first, second = random_prompt("a", [(4, 4)], seed=1), random_prompt("b", [(2, 2)], seed=2)
    rows = [Row(first, (torch.tensor([3]),)), Row(second, (torch.tensor([3]),))]
    features = [torch.full((4, 8), 1.0), torch.full((1, 8), 2.0)]
    packed = pack(rows, features).features
    assert packed is not None
    assert packed[:, 0].tolist() == [1.0, 1.0, 1.0, 1.0, 2.0]
    assert pack(rows).features is None


@pytest.mark.parametrize("features", [None, [torch.zeros(2, 8)]], ids=["patches", "features"])
def test_moving_to_a_device_moves_every_tensor(features: list[torch.Tensor] | None) -> None:
    batch = pack([ROW], features)
    away = batch.to(torch.device("meta"))
    assert isinstance(away, PackedBatch)
    for name, value in vars(batch).items():
        moved = getattr(away, name)
        if isinstance(value, torch.Tensor):
            assert moved.is_meta, name
            assert (moved.shape, moved.dtype) == (value.shape, value.dtype), name
        else:
            assert moved == value, name
