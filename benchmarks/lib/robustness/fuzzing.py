"""Runs random broken inputs in a child process that may die, within limits of time and memory (Linux)."""

from __future__ import annotations

import multiprocessing
import random
import resource
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.lib.robustness.fuzz_report import FuzzOutcome, FuzzReport
from benchmarks.lib.robustness.hostile_configs import hostile_config
from benchmarks.lib.robustness.hostile_datasets import hostile_dataset
from benchmarks.lib.robustness.process_memory import process_memory, reset_peak
from vlm_uec.errors import UserError

Load = Callable[[], object]
HANG_S = 60.0
ADDRESS_SPACE = 4 * 2**30  # bytes that the process may map above those at its start
MAX_LINE = 1000
MAX_DEATHS = 20  # each costs the start of a process


@dataclass(frozen=True)
class InputKind:
    """A kind of input: `make` writes one into a directory and returns the call that reads it."""

    name: str
    make: Callable[[random.Random, Path], Load]

    def input(self, seed: int, number: int, directory: Path) -> Load:
        """Input `number` of this seed, the same in every process."""
        return self.make(random.Random(f"{seed} {self.name} {number}"), directory)


INPUT_KINDS = {
    kind.name: kind for kind in (InputKind("config", hostile_config), InputKind("dataset", hostile_dataset))
}


def fuzz(kind: InputKind, count: int, seed: int) -> FuzzReport:
    """Tries inputs 0 to count - 1 of a seed; starts a new process after each death."""
    report = FuzzReport(kind.name, seed)
    while len(report.outcomes) < count and report.count("died") < MAX_DEATHS:
        report.outcomes += _outcomes_until_death(kind, seed, len(report.outcomes), count)
    return report


def _outcomes_until_death(kind: InputKind, seed: int, start: int, count: int) -> Iterator[FuzzOutcome]:
    """Outcomes from input `start` on; the last one is a death unless all inputs were tried."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_try_inputs, args=(kind, seed, start, count, sender), daemon=True)
    process.start()
    sender.close()
    number = start
    try:
        while number < count and receiver.poll(HANG_S):
            yield receiver.recv()
            number += 1
        if number < count:
            yield FuzzOutcome(number, "died", detail=f"no outcome within {HANG_S:.0f} s")
    except EOFError:
        process.join()
        yield FuzzOutcome(number, "died", detail=f"the process ended with exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _try_inputs(kind: InputKind, seed: int, start: int, count: int, sender: Connection) -> None:
    """In the child process: inputs start to count - 1, under a memory limit."""
    limit = process_memory("VmSize") + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = process_memory("VmRSS")
    with tempfile.TemporaryDirectory(prefix="vlm_uec_fuzz_") as directory:
        for number in range(start, count):
            sender.send(try_input(number, kind.input(seed, number, Path(directory)), before))


def try_input(number: int, load: Load, before: int) -> FuzzOutcome:
    """Reads one input; `before`: resident bytes that do not count as its own."""
    reset_peak()
    started = time.process_time()
    result, detail = _load_result(load)
    seconds = time.process_time() - started
    return FuzzOutcome(number, result, seconds, process_memory("VmHWM") - before, detail)


def _load_result(load: Load) -> tuple[str, str]:
    try:
        load()
    except UserError as error:
        line = str(error)
        if len(line) < MAX_LINE and line.isprintable():
            return "refused", line
        fault = "is too long" if line.isprintable() else "has control characters"
        return "raised", f"UserError that {fault}: {line[:200]!r} ({len(line)} characters)"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        name = Path(frame.filename).name
        return "raised", f"{type(error).__name__} in {name}:{frame.lineno}: {str(error)[:200]!r}"
    return "accepted", ""
