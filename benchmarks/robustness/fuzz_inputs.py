"""Thousands of broken inputs through the config loader and the dataset reader: a result or one line each.

    python benchmarks/robustness/fuzz_inputs.py [config|dataset|both] [--count 5000] [--seed 1]
    python benchmarks/robustness/fuzz_inputs.py dataset --seed 1 --only 1234

The only allowed outcomes are a result and a `UserError` of one line. Another exception, more than 2 s of CPU
time, more than 512 MiB of memory and the end of the process are findings; the exit code is then 1. An input
is a function of (seed, number): --only makes one again, keeps its files and shows its traceback. Each kind
runs in a process of its own (Linux), so that a crash inside of a library is told too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

from benchmarks.lib.robustness.hostile_configs import hostile_config
from benchmarks.lib.robustness.hostile_datasets import hostile_dataset
from vlm_uec.errors import UserError

Load = Callable[[], object]
LIMIT_S = 2.0
HANG_S = 60.0
MAX_GROWTH = 512 * 2**20  # bytes of resident memory above what the process had before the first input
ADDRESS_SPACE = 4 * 2**30  # bytes that the process may map above what it has at its start
MAX_LINE = 1000
MAX_DEATHS = 20  # each costs a start


@dataclass(frozen=True)
class Kind:
    """A kind of input: `make` writes one below a directory and returns the call that reads it."""

    name: str
    make: Callable[[random.Random, Path], Load]

    def input(self, seed: int, number: int, directory: Path) -> Load:
        """That input of this seed, the same in every process."""
        return self.make(random.Random(f"{seed} {self.name} {number}"), directory)


KINDS = {kind.name: kind for kind in (Kind("config", hostile_config), Kind("dataset", hostile_dataset))}


@dataclass(frozen=True)
class Outcome:
    """What one input came to."""

    number: int
    what: str  # accepted, refused, raised, died
    seconds: float = 0.0  # of CPU time
    growth: int = 0  # bytes
    detail: str = ""


@dataclass
class Report:
    """What all inputs of a kind came to."""

    kind: Kind
    seed: int
    outcomes: list[Outcome] = field(default_factory=list)

    def count(self, what: str) -> int:
        return sum(outcome.what == what for outcome in self.outcomes)

    @property
    def slow(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.seconds > LIMIT_S]

    @property
    def large(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.growth > MAX_GROWTH]

    @property
    def findings(self) -> list[Outcome]:
        wrong = [outcome for outcome in self.outcomes if outcome.what in ("raised", "died")]
        return sorted({*wrong, *self.slow, *self.large}, key=lambda outcome: outcome.number)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", nargs="?", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", type=int, metavar="NUMBER", help="make this input, keep it, show what happens"
    )
    arguments = parser.parse_args()
    kinds = [*KINDS.values()] if arguments.kind == "both" else [KINDS[arguments.kind]]
    if arguments.only is not None:
        show(kinds[0], arguments.seed, arguments.only)
        return
    reports = [fuzz(kind, arguments.count, arguments.seed) for kind in kinds]
    print_reports(reports)
    sys.exit(1 if any(report.findings for report in reports) else 0)


def fuzz(kind: Kind, count: int, seed: int) -> Report:
    """Tries inputs 0 to count - 1 of a seed in a process that may die of one; then it starts another."""
    report = Report(kind, seed)
    while len(report.outcomes) < count and report.count("died") < MAX_DEATHS:
        report.outcomes += _until_death(kind, seed, len(report.outcomes), count)
    return report


def _until_death(kind: Kind, seed: int, start: int, count: int) -> Iterator[Outcome]:
    """Outcomes from input `start` on; the last one is a death unless all are done."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(kind, seed, start, count, sender), daemon=True)
    process.start()
    sender.close()
    number = start
    try:
        while number < count and receiver.poll(HANG_S):
            yield receiver.recv()
            number += 1
        if number < count:
            yield Outcome(number, "died", detail=f"no answer within {HANG_S:.0f} s")
    except EOFError:
        process.join()
        yield Outcome(number, "died", detail=f"the process ended with exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()


def work(kind: Kind, seed: int, start: int, count: int, sender: Connection) -> None:
    """In the child: inputs start to count - 1, under a limit of memory."""
    limit = memory("VmSize") + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = memory("VmRSS")
    with tempfile.TemporaryDirectory(prefix="vlm_uec_fuzz_") as directory:
        for number in range(start, count):
            sender.send(attempt(number, kind.input(seed, number, Path(directory)), before))


def attempt(number: int, load: Load, before: int) -> Outcome:
    """Reads an input and says what came of it; `before`: resident bytes that are not counted as its own."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
    started = time.process_time()
    what, detail = _result(load)
    seconds = time.process_time() - started
    return Outcome(number, what, seconds, memory("VmHWM") - before, detail)


def _result(load: Load) -> tuple[str, str]:
    try:
        load()
    except UserError as error:
        line = str(error)
        if len(line) < MAX_LINE and line.isprintable():
            return "refused", line
        fault = "is too long" if line.isprintable() else "has control characters"
        return "raised", f"UserError that {fault}: {line[:200]!r} ({len(line)} characters)"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        name = Path(place.filename).name
        return "raised", f"{type(error).__name__} in {name}:{place.lineno}: {str(error)[:200]!r}"
    return "accepted", ""


def memory(name: str) -> int:
    """Bytes of this process: VmSize mapped, VmRSS resident, VmHWM resident at its peak."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name}")


def show(kind: Kind, seed: int, number: int) -> None:
    """Makes one input again, in this process, and keeps it."""
    directory = Path(tempfile.mkdtemp(prefix=f"{kind.name}_{seed}_{number}_"))
    load = kind.input(seed, number, directory)
    print(f"{kind.name} input {number} of seed {seed} lies in {directory}")
    try:
        print(f"accepted: {load()}")
    except UserError as error:
        print(f"refused: {error}")


def print_reports(reports: list[Report]) -> None:
    """A table; then the findings, those of one place together, with the command that makes one again."""
    columns = ["inputs", "accepted", "refused", "raised", "died", f"over {LIMIT_S:g} s", "over memory"]
    print("".join(f"{name:>12}" for name in ["", *columns, "slowest ms", "peak MiB"]))
    for report in reports:
        slowest = max(outcome.seconds for outcome in report.outcomes)
        peak = max(outcome.growth for outcome in report.outcomes)
        counts = [len(report.outcomes), *map(report.count, ("accepted", "refused", "raised", "died"))]
        counts += [len(report.slow), len(report.large), round(1000 * slowest), peak >> 20]
        print("".join(f"{value:>12}" for value in [report.kind.name, *counts]))
    print(f"peak: memory above that before the first input; {MAX_GROWTH >> 20} MiB are allowed")
    for report in reports:
        _print_findings(report)


def _print_findings(report: Report) -> None:
    alike: dict[str, list[Outcome]] = {}
    for outcome in report.findings:
        alike.setdefault(f"{outcome.what} {outcome.detail.partition(': ')[0]}", []).append(outcome)
    for outcomes in alike.values():
        first = outcomes[0]
        print(
            f"{len(outcomes)} x {first.what}, {first.seconds:.2f} s, {first.growth >> 20} MiB: {first.detail}"
        )
        again = f"{report.kind.name} --seed {report.seed} --only {first.number}"
        print(f"  python benchmarks/robustness/fuzz_inputs.py {again}")


if __name__ == "__main__":
    main()
