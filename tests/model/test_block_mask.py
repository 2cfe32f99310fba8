"""The block mask made from spans equals the one that torch makes from the dense mask."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from tests.support.oracles import dense_attention
from tests.support.tiny import random_prompt, random_response
from vlm_uec.model.block_mask import packed_block_mask, visibility, visible_pairs
from vlm_uec.model.packing import PackedBatch, Row, pack

BLOCK = 16
ROWS = st.lists(
    st.tuples(st.integers(1, 60), st.lists(st.integers(1, 60), min_size=1, max_size=4)),
    min_size=1,
    max_size=4,
)


def _pack(rows: list[tuple[int, list[int]]]) -> PackedBatch:
    """Rows of prompts and responses of these lengths."""
    return pack(
        [
            Row(
                random_prompt(str(number), text=prompt, seed=number),
                tuple(random_response(length, seed=length) for length in lengths),
            )
            for number, (prompt, lengths) in enumerate(rows)
        ]
    )


def _dense(batch: PackedBatch) -> torch.Tensor:
    """[L, L] bool, pair by pair."""
    length = len(batch.row)
    mask = torch.zeros(length, length, dtype=torch.bool)
    for query in range(length):
        for key in range(query + 1):
            in_row = batch.row[query] == batch.row[key]
            mask[query, key] = in_row and batch.segment[key] in (0, batch.segment[query])
    return mask


def _used(count: Any, indices: Any) -> list[list[int]]:
    """The used key blocks of every query block, in order."""
    return [row[:number].tolist() for number, row in zip(count[0, 0].tolist(), indices[0, 0], strict=True)]


@settings(max_examples=15, deadline=None)
@given(ROWS)
def test_the_visible_pairs_of_a_block_are_those_of_the_dense_mask(rows: list[tuple[int, list[int]]]) -> None:
    batch = _pack(rows)
    mask = _dense(batch)
    actual = visible_pairs(batch.spans, len(mask), BLOCK)
    expected = [[int(keys.sum()) for keys in queries.split(BLOCK, 1)] for queries in mask.split(BLOCK)]
    assert actual.tolist() == expected


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_blocks_equal_those_that_torch_finds(rows: list[tuple[int, list[int]]]) -> None:
    batch = _pack(rows)
    length = len(batch.row)
    actual = packed_block_mask(batch.spans, batch.row, batch.segment, BLOCK)
    expected = create_block_mask(
        visibility(batch.row, batch.segment), None, None, length, length, device="cpu", BLOCK_SIZE=BLOCK
    )
    assert actual.shape == expected.shape
    for name in ("kv", "full_kv", "q", "full_q"):
        counts = [getattr(mask, f"{name}_num_blocks") for mask in (actual, expected)]
        indices = [getattr(mask, f"{name}_indices") for mask in (actual, expected)]
        assert _used(counts[0], indices[0]) == _used(counts[1], indices[1]), name
        assert counts[0].dtype == counts[1].dtype and indices[0].dtype == indices[1].dtype


def test_attention_with_the_block_mask_equals_dense_attention() -> None:
    batch = _pack([(40, [30, 1, 25]), (7, [50])])
    mask = packed_block_mask(batch.spans, batch.row, batch.segment)
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, len(batch.row), 16, generator=generator)
    actual = flex_attention(query[None], key[None], value[None], block_mask=mask, scale=0.4)
    expected = dense_attention(query, key, value, _dense(batch), 0.4)
    torch.testing.assert_close(actual[0].transpose(0, 1), expected, rtol=0, atol=1e-5)
