from __future__ import annotations

from vlm_uec.errors import UserError


def test_a_message_is_always_one_line() -> None:
    assert str(UserError("reward.py:f raised\r\n  ValueError:\n\tno\u2028such thing ")) == (
        "reward.py:f raised ValueError: no such thing"
    )
