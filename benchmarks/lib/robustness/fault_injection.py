"""Ways to interrupt a running training, the moments to do it, and the exit codes to expect from its ranks.

Moments are uniform over the training, except one in ten before its first step; or they lie inside the
writing of a checkpoint.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.lib.robustness.run_checks import torn_files
from benchmarks.lib.robustness.watched_run import (
    RANK_EXIT,
    WatchedRun,
    current_phase,
    exit_code,
    has_ended,
    parent_pid,
)

RANK_TIMEOUT_S = 20
RANKS_END_S = RANK_TIMEOUT_S + 25.0  # imports take up to ten of them
LAUNCHER_END_S = 45.0  # it gives a rank 30 s
STARTUP_SHARE = 0.1  # of the moments: before the first step


@dataclass(frozen=True)
class Interruption:
    """A signal and the processes that receive it."""

    name: str
    signum: signal.Signals
    targets: str  # group, both or one
    during_checkpoint: bool = False
    # A stopped launcher neither ends the ranks nor collects their exit codes.
    stop_launcher: bool = False


INTERRUPTIONS = (
    Interruption("SIGKILL, all", signal.SIGKILL, "group"),
    Interruption("SIGTERM, both ranks", signal.SIGTERM, "both", stop_launcher=True),
    Interruption("SIGKILL, one rank", signal.SIGKILL, "one", stop_launcher=True),
    Interruption("SIGTERM, one rank", signal.SIGTERM, "one"),
    Interruption("SIGKILL, all, writing", signal.SIGKILL, "group", during_checkpoint=True),
)


@dataclass(frozen=True)
class Timeline:
    """The uninterrupted run's output with times, in seconds from its start."""

    marks: tuple[tuple[str, float], ...]  # "": its ranks have started; then its steps and its export
    end: float
    checkpoint_seconds: float  # median
    steps: int


@dataclass(frozen=True)
class Moment:
    """`delay` seconds after `mark` was printed, or after checkpoints/ had a directory of that name."""

    mark: str
    delay: float
    target_rank: int  # used if only one rank receives the signal


@dataclass(frozen=True)
class Interrupted:
    """How a run ended after an interruption, and the state of its directory."""

    phase: str  # "over": the run had ended before the signal
    exit_codes: tuple[int | None, ...]  # of ranks that were not killed, where known; None: did not end
    exited_as_expected: bool
    seconds_to_end: float
    has_partial_checkpoint: bool
    torn: tuple[str, ...]


def draw_moment(interruption: Interruption, timeline: Timeline, rng: random.Random) -> Moment:
    """Uniform over the training or, at `STARTUP_SHARE`, over the start; or inside a checkpoint's writing."""
    target_rank = rng.randrange(2)
    if interruption.during_checkpoint:
        step = rng.randint(1, timeline.steps)
        return Moment(f".writing-step_{step:06d}", rng.uniform(0, timeline.checkpoint_seconds), target_rank)
    (_, start), (_, training), *_ = timeline.marks
    is_early = rng.random() < STARTUP_SHARE
    at = rng.uniform(start, training) if is_early else rng.uniform(training, timeline.end)
    mark, since = [mark for mark in timeline.marks if mark[1] <= at][-1]
    return Moment(mark, at - since, target_rank)


def interrupt(run: WatchedRun, interruption: Interruption, moment: Moment, run_dir: Path) -> Interrupted:
    """Sends the signal at the moment and waits until no process of the run is left."""
    run.seconds_until(run.rank_pids)
    partial_checkpoint = run_dir / "checkpoints" / moment.mark
    run.seconds_until(
        partial_checkpoint.is_dir if interruption.during_checkpoint else partial(run.has_printed, moment.mark)
    )
    time.sleep(moment.delay)
    over = not run.rank_pids() or any(map(has_ended, run.rank_pids()))
    phase, since = "over" if over else current_phase(run.output), time.monotonic()
    codes = () if over else send_signal(run, interruption, moment.target_rank)
    code = run.wait_for_end(LAUNCHER_END_S)
    codes = (code,) if over or code is None else codes or _logged_exit_codes(run)
    return Interrupted(
        phase=phase,
        exit_codes=codes,
        exited_as_expected=code is not None and exits_as_expected(interruption, phase, codes),
        seconds_to_end=time.monotonic() - since,
        has_partial_checkpoint=any((run_dir / "checkpoints").glob(".writing-*")),
        torn=tuple(torn_files(run_dir)),
    )


def send_signal(run: WatchedRun, interruption: Interruption, target_rank: int) -> tuple[int | None, ...]:
    """Returns the exit codes of the ranks that were not killed; none unless the launcher is stopped."""
    ranks = run.rank_pids()
    if interruption.targets == "group":
        run.kill_group()
        return ()
    launcher = parent_pid(ranks[0])
    targets = ranks if interruption.targets == "both" else [ranks[target_rank]]
    if interruption.stop_launcher:
        os.kill(launcher, signal.SIGSTOP)
    for pid in targets:
        with suppress(ProcessLookupError):
            os.kill(pid, interruption.signum)
    if not interruption.stop_launcher:
        return ()
    observed = [pid for pid in ranks if interruption.signum == signal.SIGTERM or pid not in targets]
    run.seconds_until(lambda: all(map(has_ended, observed)), RANKS_END_S)
    codes = tuple(exit_code(pid) for pid in observed)
    os.kill(launcher, signal.SIGCONT)
    return codes


def _logged_exit_codes(run: WatchedRun) -> tuple[int, ...]:
    return tuple(int(code) for code in RANK_EXIT.findall(run.output))


def exits_as_expected(interruption: Interruption, phase: str, codes: Sequence[int | None]) -> bool:
    """True if the ranks that were not killed ended with the right exit codes."""
    if phase == "over":
        return set(codes) == {0}
    if interruption.targets == "group":
        return True
    # Before the first step no signal handler is installed; an export may end before the signal arrives.
    if phase == "export":
        codes = [code for code in codes if code != 0]
    elif not codes:
        return False
    if interruption.signum == signal.SIGTERM and phase != "start":
        return all(code == 143 for code in codes)
    return all(code not in (0, None) for code in codes)
