"""Ways to strike a running training down, when to, and how its ranks should end.

Moments are uniform over the training, one in ten before it; or inside the writing of a checkpoint.
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

from benchmarks.lib.robustness.run_checks import torn
from benchmarks.lib.robustness.watched_run import ENDED, WatchedRun, exit_code, has_ended, parent, phase

RANK_TIMEOUT_S = 20
RANKS_END_S = RANK_TIMEOUT_S + 25.0  # imports take up to ten of them
LAUNCHER_END_S = 45.0  # it gives a rank 30 s
START_SHARE = 0.1  # of the moments: before the first step


@dataclass(frozen=True)
class Kind:
    """A way to strike."""

    name: str
    signum: signal.Signals
    victims: str  # group, both or one
    writing: bool = False  # when a checkpoint is being written
    # A stopped launcher neither ends the ranks nor takes their exit codes.
    hold_launcher: bool = False


KINDS = (
    Kind("SIGKILL, all", signal.SIGKILL, "group"),
    Kind("SIGTERM, both ranks", signal.SIGTERM, "both", hold_launcher=True),
    Kind("SIGKILL, one rank", signal.SIGKILL, "one", hold_launcher=True),
    Kind("SIGTERM, one rank", signal.SIGTERM, "one"),
    Kind("SIGKILL, all, writing", signal.SIGKILL, "group", writing=True),
)


@dataclass(frozen=True)
class Timeline:
    """The uninterrupted run: what it printed when, in seconds from its start."""

    marks: tuple[tuple[str, float], ...]  # "": its ranks are there; then its steps and its export
    end: float
    writing: float  # median seconds of a checkpoint
    steps: int


@dataclass(frozen=True)
class Moment:
    """`delay` seconds after `mark` was printed, or after checkpoints/ had a directory of that name."""

    mark: str
    delay: float
    victim: int  # the rank, where only one is struck


@dataclass(frozen=True)
class Struck:
    """What a strike met and left."""

    phase: str  # "over": nothing was left to strike
    codes: tuple[int | None, ...]  # of the ranks that were not killed, as far as known; None: did not end
    as_promised: bool
    seconds_to_end: float
    half_written: bool  # a checkpoint that was begun is there
    torn: tuple[str, ...]


def draw(kind: Kind, timeline: Timeline, chance: random.Random) -> Moment:
    """Uniform over the training or, now and then, over the start; or inside the writing of a checkpoint."""
    victim = chance.randrange(2)
    if kind.writing:
        step = chance.randint(1, timeline.steps)
        return Moment(f".writing-step_{step:06d}", chance.uniform(0, timeline.writing), victim)
    (_, start), (_, training), *_ = timeline.marks
    early = chance.random() < START_SHARE
    at = chance.uniform(start, training) if early else chance.uniform(training, timeline.end)
    mark, since = [mark for mark in timeline.marks if mark[1] <= at][-1]
    return Moment(mark, at - since, victim)


def strike(run: WatchedRun, kind: Kind, moment: Moment, run_dir: Path) -> Struck:
    """Strikes at the moment and waits until nothing of the run is left."""
    run.seconds_until(run.ranks)
    written = run_dir / "checkpoints" / moment.mark
    run.seconds_until(written.is_dir if kind.writing else partial(run.says, moment.mark))
    time.sleep(moment.delay)
    over = not run.ranks() or any(map(has_ended, run.ranks()))
    doing, since = "over" if over else phase(run.text), time.monotonic()
    codes = () if over else send(run, kind, moment.victim)
    code = run.end(LAUNCHER_END_S)
    codes = (code,) if over or code is None else codes or _told_codes(run)
    return Struck(
        phase=doing,
        codes=codes,
        as_promised=code is not None and as_promised(kind, doing, codes),
        seconds_to_end=time.monotonic() - since,
        half_written=any((run_dir / "checkpoints").glob(".writing-*")),
        torn=tuple(torn(run_dir)),
    )


def send(run: WatchedRun, kind: Kind, victim: int) -> tuple[int | None, ...]:
    """Sends the signal; exit codes of the ranks that were not killed, where a stopped launcher keeps them."""
    ranks = run.ranks()
    if kind.victims == "group":
        run.kill_group()
        return ()
    launcher = parent(ranks[0])
    victims = ranks if kind.victims == "both" else [ranks[victim]]
    if kind.hold_launcher:
        os.kill(launcher, signal.SIGSTOP)
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, kind.signum)
    if not kind.hold_launcher:
        return ()
    asked = [pid for pid in ranks if kind.signum == signal.SIGTERM or pid not in victims]
    run.seconds_until(lambda: all(map(has_ended, asked)), RANKS_END_S)
    codes = tuple(exit_code(pid) for pid in asked)
    os.kill(launcher, signal.SIGCONT)
    return codes


def _told_codes(run: WatchedRun) -> tuple[int, ...]:
    return tuple(int(code) for code in ENDED.findall(run.text))


def as_promised(kind: Kind, doing: str, codes: Sequence[int | None]) -> bool:
    """Whether the ranks that were not killed ended as they should."""
    if doing == "over":
        return set(codes) == {0}
    if kind.victims == "group":
        return True
    # Before the first step nobody listens for signals yet; in the export the end may come first.
    if doing == "export":
        codes = [code for code in codes if code != 0]
    elif not codes:
        return False
    if kind.signum == signal.SIGTERM and doing != "start":
        return all(code == 143 for code in codes)
    return all(code not in (0, None) for code in codes)
