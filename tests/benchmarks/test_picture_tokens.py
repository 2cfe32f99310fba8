"""Token counts of the picture benchmark, by sizes worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.lib.speed.picture_tokens import our_tokens, picture_sizes, reference_tokens, table

LIMIT = 4_194_304


@pytest.mark.parametrize(
    ("size", "reference", "ours"),
    [
        # x sqrt(262144 / 60000) = 2.0902: 627 x 418, 22.39 and 14.93 tokens; 22 x 15, here up to 23 x 15.
        ((300, 200), 22 * 15, 23 * 15),
        # Exactly the budget: 18.29 tokens; there to 18, which here is below the budget, so 19.
        ((512, 512), 18 * 18, 19 * 19),
        # Within the budget: 25 tokens a side.
        ((700, 700), 25 * 25, 25 * 25),
        # x sqrt(4194304 / 12000000) = 0.5912: 2364 x 1773, 84.43 and 63.32 tokens.
        ((4000, 3000), 84 * 63, 84 * 63),
    ],
)
def test_tokens_of_a_picture(size: tuple[int, int], reference: int, ours: int) -> None:
    assert reference_tokens(size, 512 * 512, LIMIT) == reference
    assert our_tokens(size, 512 * 512, LIMIT) == ours


def test_a_smaller_budget_gives_the_references_tokens() -> None:
    """300 x 200 at 248,000 pixels: 609.9 x 406.6, 21.78 and 14.52 tokens, rounded up to 22 x 15."""
    assert our_tokens((300, 200), 248_000, LIMIT) == 330


def test_the_table_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    Image.new("L", (300, 200)).save(tmp_path / "part" / "a.png")
    Image.new("L", (700, 700)).save(tmp_path / "b.PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    sizes = picture_sizes(tmp_path)
    assert sorted(sizes) == [(300, 200), (700, 700)]
    assert table(sizes, [262_144, 248_000], 262_144, LIMIT) == [
        "2 pictures; reference, min_pixels 262144: mean 477.5 tokens",  # (330 + 625) / 2
        "ours, min_pixels 262144: mean 485.0 (+1.6%), 1 equal",  # (345 + 625) / 2
        "ours, min_pixels 248000: mean 477.5 (+0.0%), 2 equal",
    ]
