from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracles import dense_attention, visibility_mask
from tests.support.tiny import random_prompt, random_response
from vlm_uec.model.attention import FlexAttention, TiledAttention, packed_attention
from vlm_uec.model.attention_tiles import MIN_FILL, Span, make_tiles
from vlm_uec.model.packing import PackedBatch, Row, pack

HEADS, KEY_HEADS, SIZE = 4, 2, 8

# Rows as (prompt tokens, tokens of each response); a response's last token is only a target.
layouts = st.lists(
    st.tuples(st.integers(1, 12), st.lists(st.integers(1, 12), min_size=1, max_size=6)),
    min_size=1,
    max_size=5,
)
Layout = list[tuple[int, list[int]]]


def _batch(layout: Layout) -> PackedBatch:
    return pack(
        [
            Row(random_prompt("p", text=prompt), tuple(random_response(length, 0) for length in lengths))
            for prompt, lengths in layout
        ]
    )


@settings(max_examples=200, deadline=None)
@given(layouts)
def test_every_position_is_a_query_once_with_the_allowed_keys(layout: Layout) -> None:
    batch = _batch(layout)
    expected = visibility_mask(batch.row, batch.segment)
    positions: list[int] = []
    for tile in make_tiles(batch.spans):
        count, rows = tile.queries.shape
        mask = tile.mask.expand(count, -1, -1).flatten(0, 1)
        keys = tile.keys.repeat_interleave(rows, dim=0)
        unpadded = torch.arange(count * rows) if tile.unpadded is None else tile.unpadded
        assert torch.equal(tile.queries.flatten()[unpadded], tile.positions)
        assert mask.any(dim=1).all(), "a query without keys is NaN"
        for query, position in zip(unpadded.tolist(), tile.positions.tolist(), strict=True):
            assert sorted(keys[query, mask[query]].tolist()) == expected[position].nonzero()[:, 0].tolist()
            positions.append(position)
    assert sorted(positions) == list(range(len(batch.input_ids)))


def _heads(length: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(heads, length, SIZE, generator=generator, requires_grad=True)
        for heads in (HEADS, KEY_HEADS, KEY_HEADS)
    ]


@settings(max_examples=60, deadline=None)
@given(layouts, st.integers(0, 9))
def test_tiled_attention_equals_dense_attention(layout: Layout, seed: int) -> None:
    batch = _batch(layout)
    length = len(batch.input_ids)
    query, key, value = inputs = _heads(length, seed)
    attention = packed_attention(batch)
    assert isinstance(attention, TiledAttention)
    actual = attention(query, key, value, 0.4)
    expected = dense_attention(query, key, value, visibility_mask(batch.row, batch.segment), 0.4)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    weights = torch.randn(actual.shape, generator=torch.Generator().manual_seed(seed + 100))
    torch.testing.assert_close(
        torch.autograd.grad((actual * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
        rtol=0,
        atol=1e-5,
    )


@settings(max_examples=30, deadline=None)
@given(layouts)
def test_flex_attention_has_the_same_mask(layout: Layout) -> None:
    from torch.nn.attention.flex_attention import create_mask

    batch = _batch(layout)
    length = len(batch.input_ids)
    mask_mod = FlexAttention(batch)._mask.mask_mod
    mask = create_mask(mask_mod, None, None, length, length, device="cpu")[0, 0]
    assert torch.equal(mask, visibility_mask(batch.row, batch.segment))


def _starts(spans: list[Span]) -> list[list[int]]:
    """The start position of each tile's spans."""
    return [tile.queries[:, 0].tolist() for tile in make_tiles(spans)]


def test_spans_of_at_least_three_quarters_of_the_longest_share_its_tile() -> None:
    """75 is three quarters of 100; 74 is below, and starts a tile that includes 56 (at least 55.5)."""
    assert MIN_FILL == 0.75
    assert _starts([Span(0, 56), Span(100, 75), Span(200, 100), Span(300, 74)]) == [[200, 100], [300, 0]]


def test_the_number_of_keys_must_be_similar_too() -> None:
    """10 queries and 30 + 10 keys: a prompt of 20 makes 30 keys, three quarters; one of 19 makes 29."""
    spans = [
        Span(100, 10, prompt_start=60, prompt_length=30),
        Span(110, 10, prompt_start=60, prompt_length=20),
        Span(120, 10, prompt_start=60, prompt_length=19),
    ]
    assert _starts(spans) == [[100, 110], [120]]


def test_longer_prompts_of_shorter_responses_need_a_separate_tile() -> None:
    """8 of 10 queries are enough, but 20 keys are not three quarters of 8 + 30."""
    spans = [
        Span(100, 10, prompt_start=60, prompt_length=10),
        Span(110, 8, prompt_start=60, prompt_length=30),
    ]
    assert _starts(spans) == [[100], [110]]


def test_prompts_and_responses_have_different_tiles() -> None:
    assert _starts([Span(0, 10), Span(10, 10, prompt_start=0, prompt_length=1)]) == [[0], [10]]


def test_empty_spans_have_no_tile() -> None:
    assert _starts([Span(0, 2), Span(2, 0, prompt_start=0, prompt_length=2)]) == [[0]]


def test_a_tile_by_hand() -> None:
    """Positions 7, 8, 9 with the prompt 0, 1, 2, and 10 .. 13 with 3 .. 6; padding repeats position 0."""
    spans = [
        Span(7, 3, prompt_start=0, prompt_length=3),
        Span(10, 4, prompt_start=3, prompt_length=4),
    ]
    (tile,) = make_tiles(spans)
    assert tile.queries.tolist() == [[10, 11, 12, 13], [7, 8, 9, 0]]
    assert tile.keys.tolist() == [[3, 4, 5, 6, 10, 11, 12, 13], [0, 1, 2, 0, 7, 8, 9, 0]]
    assert tile.mask.int().tolist() == [
        [
            [1, 1, 1, 1, 1, 0, 0, 0],
            [1, 1, 1, 1, 1, 1, 0, 0],
            [1, 1, 1, 1, 1, 1, 1, 0],
            [1, 1, 1, 1, 1, 1, 1, 1],
        ],
        [
            [1, 1, 1, 0, 1, 0, 0, 0],
            [1, 1, 1, 0, 1, 1, 0, 0],
            [1, 1, 1, 0, 1, 1, 1, 0],
            [1, 1, 1, 0, 1, 1, 1, 0],  # padding
        ],
    ]
    assert tile.positions.tolist() == [10, 11, 12, 13, 7, 8, 9]
    assert tile.unpadded is not None
    assert tile.unpadded.tolist() == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("count", [1, 4])
def test_spans_of_equal_lengths_share_one_mask_without_padding(count: int) -> None:
    (tile,) = make_tiles([Span(2 + 3 * index, 3, prompt_start=0, prompt_length=2) for index in range(count)])
    assert tile.mask.int().tolist() == [[[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]]
    assert tile.unpadded is None
    assert tile.positions.tolist() == list(range(2, 2 + 3 * count))
