"""Prompt and response within the positions of the model."""

from __future__ import annotations

import pytest

from vlm_uec.errors import UserError
from vlm_uec.model.positions_limit import check_positions

KEYS = ("data.max_prompt_tokens", "rollout.max_tokens")


def test_the_whole_range_may_be_used() -> None:
    check_positions(4096, 1024, 3072, KEYS)


def test_one_token_more_is_refused_with_the_arithmetic() -> None:
    message = (
        r"^data\.max_prompt_tokens 1024 \+ rollout\.max_tokens 3073 = 4097 tokens, more than the "
        r"model's max_position_embeddings 4096; lower one of them$"
    )
    with pytest.raises(UserError, match=message):
        check_positions(4096, 1024, 3073, KEYS)
