"""Broken inputs end in a result or in one line; the fuzzer itself tells what does not."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.robustness.fuzz_inputs import (
    KINDS,
    MAX_GROWTH,
    Kind,
    Report,
    attempt,
    fuzz,
    memory,
    print_reports,
)
from vlm_uec.errors import UserError

pytestmark = pytest.mark.slow

# Seeds that nothing was developed on: 1 to 9 were.
SEEDS = {"config": 20261, "dataset": 20262}
COUNT = 2000


@pytest.mark.parametrize("kind", SEEDS)
def test_thousands_of_broken_inputs(kind: str) -> None:
    report = fuzz(KINDS[kind], COUNT, SEEDS[kind])
    assert report.findings == []
    assert len(report.outcomes) == COUNT
    # Inputs that are all refused at the door, or all fine, would test nothing.
    assert report.count("accepted") > COUNT / 50
    assert report.count("refused") > COUNT / 2
    assert len({outcome.detail for outcome in report.outcomes}) > 100


@pytest.mark.parametrize("kind", SEEDS)
def test_an_input_is_a_function_of_seed_and_number(kind: str, tmp_path: Path) -> None:
    def content(folder: str, number: int) -> str:
        directory = tmp_path / f"{folder}{number}"
        directory.mkdir()
        KINDS[kind].input(5, number, directory)
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    first, again = ([content(folder, number) for number in range(20)] for folder in "ab")
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
    ("load", "what", "is_finding"),
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
def test_what_counts_as_a_finding(load: Callable[[], object], what: str, is_finding: bool) -> None:
    outcome = attempt(3, load, memory("VmRSS"))
    assert (outcome.number, outcome.what) == (3, what)
    assert bool(Report(KINDS["config"], 1, [outcome]).findings) is is_finding


def _second_one_aborts(source: random.Random, directory: Path) -> Callable[[], object]:
    seen = directory / "seen"
    seen.write_text("x" * (len(seen.read_text()) + 1) if seen.exists() else "x")
    return os.abort if len(seen.read_text()) == 2 else dict


def test_a_crash_is_told_and_the_rest_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    report = fuzz(Kind("sample", _second_one_aborts), 3, seed=7)
    assert [(outcome.number, outcome.what) for outcome in report.outcomes] == [
        (0, "accepted"), (1, "died"), (2, "accepted"),
    ]  # fmt: skip
    print_reports([report])
    told = capsys.readouterr().out
    assert "exit code -6" in told
    assert "fuzz_inputs.py sample --seed 7 --only 1" in told
