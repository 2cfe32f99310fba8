"""Times the phases of a step. Phases accumulate, never overlap, and sum to the step."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OTHER = "other"


class PhaseTimer:
    """Charges every second of a step to the innermost open phase, or to "other" outside them all."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        """`clock`: seconds, never running backwards."""
        self._clock = clock
        self._open: list[str] = []
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._mark = clock()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charges the enclosed time to `name`; the enclosing phase is paused."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def move(self, source: str, target: str, share: float) -> None:
        """Moves a share (0 to 1) of the time charged to `source` so far to `target`, for concurrent work."""
        self._charge()
        seconds = share * self._seconds[source]
        self._seconds[source] -= seconds
        self._seconds[target] += seconds

    def finish(self) -> dict[str, float]:
        """Seconds as `time/NAME`, with `time/other` and their sum `time/step`; the next step starts now.

        Raises RuntimeError inside an open phase: its remainder would be charged to the wrong step.
        """
        if self._open:
            raise RuntimeError(f"phase {self._open[-1]!r} is still open")
        self._charge()
        self._seconds[OTHER] += 0.0
        values = {f"time/{name}": seconds for name, seconds in self._seconds.items()}
        self._seconds.clear()
        return {**values, "time/step": sum(values.values())}

    def _charge(self) -> None:
        now = self._clock()
        self._seconds[self._open[-1] if self._open else OTHER] += now - self._mark
        self._mark = now
