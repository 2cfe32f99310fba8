from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tiny import IMAGE_PAD, tiny_model
from vlm_uec.data.positions import mrope_positions

MODEL = tiny_model()


def _ids(*pieces: int) -> torch.Tensor:
    """Token ids; pieces: n > 0 are n words, n < 0 are -n image placeholders."""
    return torch.cat([torch.full((abs(piece),), IMAGE_PAD if piece < 0 else 7) for piece in pieces])


def _grid(*sizes: tuple[int, int]) -> torch.Tensor:
    return torch.tensor([(1, *size) for size in sizes], dtype=torch.int64).reshape(-1, 3)


def _library(ids: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    types = (ids == IMAGE_PAD).int()
    positions, _ = MODEL.model.get_rope_index(ids[None], types[None], image_grid_thw=grid)
    return positions[:, 0]


def test_a_picture_spans_its_grid_and_text_continues_after_its_longer_side() -> None:
    """Two words, a picture of 2 x 3 merged patches at position 2, one word at 2 + max(2, 3)."""
    positions = mrope_positions(_ids(2, -6, 1), _grid((4, 6)), IMAGE_PAD, 2)
    assert positions.tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5],
        [0, 1, 2, 2, 2, 3, 3, 3, 5],
        [0, 1, 2, 3, 4, 2, 3, 4, 5],
    ]


def test_text_positions_are_equal_on_all_three_axes() -> None:
    assert mrope_positions(_ids(4), _grid(), IMAGE_PAD, 2).tolist() == [[0, 1, 2, 3]] * 3


def test_adjacent_pictures_are_separated_by_their_grids() -> None:
    positions = mrope_positions(_ids(-1, -2, 1), _grid((2, 2), (2, 4)), IMAGE_PAD, 2)
    assert positions.tolist() == [[0, 1, 1, 3], [0, 1, 1, 3], [0, 1, 2, 3]]


sides = st.integers(1, 6).map(lambda side: 2 * side)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(sides, sides, st.integers(1, 9)), max_size=4), st.integers(1, 9))
def test_positions_equal_those_of_transformers(pictures: list[tuple[int, int, int]], words: int) -> None:
    pieces = [words]
    for height, width, after in pictures:
        pieces += [-(height * width) // 4, after]
    ids, grid = _ids(*pieces), _grid(*[(height, width) for height, width, _ in pictures])
    assert torch.equal(mrope_positions(ids, grid, IMAGE_PAD, 2), _library(ids, grid))


def test_a_prompt_that_ends_with_a_picture() -> None:
    ids, grid = _ids(3, -4), _grid((4, 4))
    assert torch.equal(mrope_positions(ids, grid, IMAGE_PAD, 2), _library(ids, grid))


@pytest.mark.parametrize(
    ("pieces", "sizes", "message"),
    [
        ((3, -4, 2), (), "more image placeholders than the 0 pictures"),
        ((3, -5, 2), ((4, 4),), "more image placeholders than the 1 pictures"),
        ((3, -3, 2), ((4, 4),), "a picture of 4 tokens has fewer"),
        ((3, -3), ((4, 4),), "a picture of 4 tokens has fewer"),
        ((3, -2, 1, -2, 1), ((4, 4),), "a picture of 4 tokens has fewer"),
        ((3, -4, 2), ((4, 4), (4, 4)), "2 pictures, but fewer runs"),
        ((3,), ((4, 4),), "1 pictures, but fewer runs"),
    ],
)
def test_placeholders_that_do_not_match_the_grid_are_an_error(
    pieces: tuple[int, ...], sizes: tuple[tuple[int, int], ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mrope_positions(_ids(*pieces), _grid(*sizes), IMAGE_PAD, 2)
