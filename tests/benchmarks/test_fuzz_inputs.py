"""Broken inputs end in a result or in one line; the fuzzer reports every other outcome."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.lib.robustness.fuzz_report import MAX_GROWTH, FuzzReport, print_reports
from benchmarks.lib.robustness.fuzzing import INPUT_KINDS, InputKind, fuzz, try_input
from benchmarks.lib.robustness.process_memory import process_memory
from vlm_uec.errors import UserError
from vlm_uec.io.digest import file_sha256

pytestmark = pytest.mark.slow

# Seeds 1 to 9 were used in development; these were not.
SEEDS = {"config": 20261, "dataset": 20262}
COUNT = 2000


@pytest.mark.parametrize("kind", SEEDS)
def test_thousands_of_broken_inputs(kind: str) -> None:
    report = fuzz(INPUT_KINDS[kind], COUNT, SEEDS[kind])
    assert report.findings == []
    assert len(report.outcomes) == COUNT
    # Inputs that are all refused early, or all valid, would test nothing.
    assert report.count("accepted") > COUNT / 50
    assert report.count("refused") > COUNT / 2
    assert len({outcome.detail for outcome in report.outcomes}) > 100


@pytest.mark.parametrize("kind", SEEDS)
def test_an_input_is_a_function_of_seed_and_number(kind: str, tmp_path: Path) -> None:
    def digests(folder: str, number: int) -> tuple[str, ...]:
        directory = tmp_path / f"{folder}{number}"
        directory.mkdir()
        INPUT_KINDS[kind].input(5, number, directory)
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        return tuple(map(file_sha256, files))

    first, again = ([digests(folder, number) for number in range(20)] for folder in "ab")
    assert first == again
    assert len(set(first)) > 10


def _raises(error: BaseException) -> Callable[[], object]:
    def load() -> object:
        raise error

    return load


def _busy() -> None:
    end = time.process_time() + 2.1
    while time.process_time() < end:
        pass


@pytest.mark.parametrize(
    ("load", "result", "is_finding"),
    [
        (lambda: 1, "accepted", False),
        (_raises(UserError("one line")), "refused", False),
        (_raises(UserError("bell \a")), "raised", True),
        (_raises(UserError("x" * 1000)), "raised", True),
        (_raises(ValueError("no")), "raised", True),
        (_raises(MemoryError()), "raised", True),
        (_raises(SystemExit(2)), "raised", True),
        (_busy, "accepted", True),
        (lambda: len(bytearray(MAX_GROWTH + 2**24)), "accepted", True),
    ],
)
def test_findings_by_outcome(load: Callable[[], object], result: str, is_finding: bool) -> None:
    outcome = try_input(3, load, process_memory("VmRSS"))
    assert (outcome.number, outcome.result) == (3, result)
    assert bool(FuzzReport("config", 1, [outcome]).findings) is is_finding


def _second_input_aborts(rng: random.Random, directory: Path) -> Callable[[], object]:
    calls = directory / "calls"
    calls.write_text("x" * (len(calls.read_text()) + 1) if calls.exists() else "x")
    return os.abort if len(calls.read_text()) == 2 else dict


def test_a_crash_is_reported_and_the_remaining_inputs_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    report = fuzz(InputKind("sample", _second_input_aborts), 3, seed=7)
    assert [(outcome.number, outcome.result) for outcome in report.outcomes] == [
        (0, "accepted"), (1, "died"), (2, "accepted"),
    ]  # fmt: skip
    print_reports([report])
    printed = capsys.readouterr().out
    assert "exit code -6" in printed
    assert "fuzz_inputs.py sample --seed 7 --only 1" in printed
