"""Results of the crash test: the faults of each moment and a table by interruption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from benchmarks.lib.robustness.fault_injection import INTERRUPTIONS, Interrupted, Moment, Timeline


@dataclass(frozen=True)
class Resumed:
    """How the resumed run ended, compared with the uninterrupted one."""

    finished: bool
    seconds_to_restart: float | None  # from the command to the first phase
    differences: tuple[str, ...]
    lost: float


@dataclass(frozen=True)
class MomentResult:
    """One interruption and the run that was resumed after it."""

    interruption: str
    moment: Moment
    interrupted: Interrupted
    resumed: Resumed

    @property
    def faults(self) -> list[str]:
        """Reasons why the run did not survive this moment; empty if it did."""
        interrupted, resumed = self.interrupted, self.resumed
        return [
            *([] if interrupted.exited_as_expected else [f"ranks ended with {interrupted.exit_codes}"]),
            *interrupted.torn,
            *([] if resumed.finished else ["did not finish when resumed"]),
            *resumed.differences,
            *([f"{resumed.lost:g} trajectories lost"] if resumed.lost else []),
        ]


PHASES = ("start", "rollout", "update", "replay", "validation", "checkpoint", "metrics", "export", "over")
COLUMNS: Mapping[str, Callable[[MomentResult], float]] = {
    "moments": lambda result: 1,
    **{name: partial(lambda name, result: result.interrupted.phase == name, name) for name in PHASES},
    "expected exits": lambda result: result.interrupted.exited_as_expected,
    "finished": lambda result: result.resumed.finished,
    "equal": lambda result: not result.resumed.differences,
    "lost": lambda result: abs(result.resumed.lost),
    "torn": lambda result: len(result.interrupted.torn),
}


def results_table(results: Sequence[MomentResult]) -> str:
    """A row per interruption, and their sum."""

    def row(name: str, part: Sequence[MomentResult]) -> str:
        sums = {column: sum(map(count, part)) for column, count in COLUMNS.items()}
        return f"{name:22}" + "".join(f"{value:>{len(column) + 2}g}" for column, value in sums.items())

    rows = [
        row(kind.name, [result for result in results if result.interruption == kind.name])
        for kind in INTERRUPTIONS
    ]
    head = " " * 22 + "".join(f"{column:>{len(column) + 2}}" for column in COLUMNS)
    return "\n".join([head, *rows, row("all", results)])


def summary(results: Sequence[MomentResult], timeline: Timeline) -> str:
    restarts = [r.resumed.seconds_to_restart for r in results if r.resumed.seconds_to_restart is not None]
    partial_checkpoints = sum(result.interrupted.has_partial_checkpoint for result in results)
    return (
        f"{len(results)} moments, {sum(not result.faults for result in results)} without a fault; "
        f"{partial_checkpoints} left a partial checkpoint beside the complete one\n"
        f"uninterrupted: {timeline.end:.1f} s, {timeline.marks[1][1]:.1f} s of it before the first step; "
        f"median restart, to the first phase: {median(restarts) if restarts else float('nan'):.1f} s"
    )
