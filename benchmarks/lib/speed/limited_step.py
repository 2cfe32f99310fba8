"""One step of a slow trainer on fewer prompts, with a time limit; an unfinished step gives a lower bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.lib.speed.workers import take_step


@dataclass(frozen=True)
class LimitedStep:
    """Seconds of a step on `prompts` prompts; if it was not finished, seconds until it was ended."""

    seconds: float
    finished: bool
    prompts: int

    def seconds_for(self, prompts: int) -> float:
        """In proportion to the prompts."""
        return self.seconds * prompts / self.prompts


def limited_step(
    worker: AbstractContextManager[Connection],
    prompts: int,
    limit: float,
    clock: Callable[[], float] = time.perf_counter,
) -> LimitedStep | None:
    """`worker`: killed `limit` seconds after its start, see `workers.worker`. None: it failed before that."""
    entered = started = clock()
    try:
        with worker as connection:
            started = clock()
            return LimitedStep(take_step(connection)["step"], finished=True, prompts=prompts)
    except (EOFError, ConnectionError):
        ended = clock()
    if ended - entered < limit:
        return None
    return LimitedStep(ended - started, finished=False, prompts=prompts)


def describe(step: LimitedStep | None, prompts: int, ours: float) -> str:
    """`ours`: our seconds for a step of `prompts` prompts."""
    if step is None:
        return "TRL: failed before its step, so there is no comparison"
    theirs = step.seconds_for(prompts)
    bound = "" if step.finished else "at least "
    end = "" if step.finished else ", not finished"
    return (
        f"TRL: {step.seconds:.1f} s on {step.prompts} prompts{end}; in proportion, {bound}{theirs:.1f} s on "
        f"{prompts}, {bound}{theirs / ours:.1f} times ours"
    )
