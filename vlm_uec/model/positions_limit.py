"""The longest sequence that a model was trained for."""

from __future__ import annotations

from vlm_uec.errors import UserError


def check_positions(limit: int, prompt_tokens: int, response_tokens: int, keys: tuple[str, str]) -> None:
    """Raises `UserError` if prompt and response may be longer than the model's `max_position_embeddings`.

    `keys`: the names of the two settings. Rotary positions beyond the limit give no error, only nonsense.
    """
    longest = prompt_tokens + response_tokens
    if longest > limit:
        raise UserError(
            f"{keys[0]} {prompt_tokens} + {keys[1]} {response_tokens} = {longest} tokens, more than the "
            f"model's max_position_embeddings {limit}; lower one of them"
        )
