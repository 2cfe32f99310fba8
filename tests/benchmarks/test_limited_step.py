"""A trainer with a time limit: its step in proportion, or a lower bound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from benchmarks.lib.speed.limited_step import LimitedStep, describe, limited_step


class _Connection:
    def __init__(self, answer: dict[str, float] | None) -> None:
        self.answer = answer

    def send(self, message: str) -> None:
        pass

    def recv(self) -> dict[str, float]:
        if self.answer is None:
            raise EOFError
        return self.answer


@contextmanager
def _worker(answer: dict[str, float] | None) -> Iterator[Any]:
    yield _Connection(answer)


@pytest.mark.parametrize(
    ("answer", "limit", "expected"),
    [
        ({"step": 8.0}, 130.0, LimitedStep(8.0, True, 2)),
        (None, 130.0, LimitedStep(30.0, False, 2)),
        (None, 131.0, None),  # it ended by itself
    ],
)
def test_only_a_worker_killed_at_its_limit_gives_a_lower_bound(
    answer: dict[str, float] | None, limit: float, expected: LimitedStep | None
) -> None:
    times = iter([0.0, 100.0, 130.0])  # at the start, at the command, at the end
    worker = cast(Any, _worker(answer))
    assert limited_step(worker, 2, limit, clock=lambda: next(times)) == expected


def test_the_step_is_scaled_to_our_prompts() -> None:
    """8 s on 2 prompts are 64 s on 16, 16 times 4 s."""
    assert describe(LimitedStep(8.0, True, 2), 16, ours=4.0) == (
        "TRL: 8.0 s on 2 prompts; in proportion, 64.0 s on 16, 16.0 times ours"
    )
    assert describe(LimitedStep(8.0, False, 2), 16, ours=4.0) == (
        "TRL: 8.0 s on 2 prompts, not finished; in proportion, at least 64.0 s on 16, "
        "at least 16.0 times ours"
    )
    assert "failed" in describe(None, 16, ours=4.0)
