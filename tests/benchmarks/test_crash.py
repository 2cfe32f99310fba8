"""The crash test's own checks: torn files, lost trajectories, differences and expected exit codes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.lib.robustness.crash_results import MomentResult, Resumed, results_table
from benchmarks.lib.robustness.fault_injection import (
    INTERRUPTIONS,
    Interrupted,
    Interruption,
    Moment,
    Timeline,
    draw_moment,
    exits_as_expected,
)
from benchmarks.lib.robustness.run_checks import differences, lost_trajectories, torn_files
from benchmarks.lib.robustness.watched_run import current_phase, exit_code, has_ended, parent_pid

ALL, TERM_BOTH, KILL_ONE, TERM_ONE, WRITING = INTERRUPTIONS
# SHA-256 of the three bytes "abc": FIPS 180-2, appendix B.1.
SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
TIMELINE = Timeline(
    marks=(("", 2.0), ("step 1: rollout", 10.0), ("step 2: rollout", 11.0), ("step 2/2 ", 13.0)),
    end=14.0,
    checkpoint_seconds=0.5,
    steps=2,
)


@pytest.mark.parametrize(
    ("output", "phase"),
    [
        ("", "start"),
        ("resumed from runs/step_000003 after step 3\n", "start"),
        ("step 1: rollout\r\x1b[Kstep 1: rollout 3/8 responses, 2.0/s", "rollout"),
        ("step 1: rollout\r\x1b[Kstep 1: update on 24 trajectories", "update"),
        ("step 2: replay of 24 trajectories", "replay"),
        ("step 2: validation 4/4 responses", "validation"),
        ("step 2: checkpoint", "checkpoint"),
        ("step 2: checkpoint\r\x1b[Kstep 2/6  acc 0.1\r\n", "metrics"),
        ("step 2/6  acc 0.1\r\nstep 3: rollout", "rollout"),
        ("step 6: checkpoint\r\x1b[Kstep 6/6  acc 0.1\r\n", "export"),
        ("step 1/16  acc 0.1\r\n", "metrics"),
    ],
)
def test_current_phase_is_the_last_printed_one(output: str, phase: str) -> None:
    assert current_phase(output) == phase


def test_a_moment_is_a_function_of_the_seed() -> None:
    def drawn(interruption: Interruption, seed: str) -> Moment:
        return draw_moment(interruption, TIMELINE, random.Random(seed))

    assert all(drawn(each, "1/0") == drawn(each, "1/0") for each in INTERRUPTIONS)
    assert drawn(ALL, "1/0") != drawn(ALL, "1/1")


def test_moments_fall_between_their_mark_and_the_next() -> None:
    # 90 % in 4 s of training: 22.5 % in each second; the rest during the start.
    longest = {"": 8.0, "step 1: rollout": 1.0, "step 2: rollout": 2.0, "step 2/2 ": 1.0}
    moments = [draw_moment(ALL, TIMELINE, random.Random(number)) for number in range(4000)]
    assert all(0 <= moment.delay <= longest[moment.mark] for moment in moments)
    shares = {mark: sum(m.mark == mark for m in moments) / 4000 for mark in longest}
    expected = {"": 0.1, "step 1: rollout": 0.225, "step 2: rollout": 0.45, "step 2/2 ": 0.225}
    assert shares == pytest.approx(expected, abs=0.03)  # four standard errors
    assert {moment.target_rank for moment in moments} == {0, 1}


def test_a_checkpoint_moment_names_a_steps_directory_and_lies_within_its_writing() -> None:
    moments = [draw_moment(WRITING, TIMELINE, random.Random(number)) for number in range(200)]
    assert {moment.mark for moment in moments} == {".writing-step_000001", ".writing-step_000002"}
    assert all(0 <= moment.delay <= 0.5 for moment in moments)


@pytest.mark.parametrize(
    ("interruption", "phase", "codes", "expected"),
    [
        (ALL, "update", (), True),
        (WRITING, "checkpoint", (), True),
        (TERM_BOTH, "update", (143, 143), True),
        (TERM_BOTH, "update", (143, -15), False),
        (TERM_BOTH, "update", (143, None), False),
        (TERM_BOTH, "update", (143, 0), False),
        (TERM_BOTH, "start", (-15, -15), True),
        (TERM_BOTH, "start", (0, -15), False),
        (TERM_BOTH, "export", (0, 0), True),
        (TERM_BOTH, "export", (0, 143), True),
        (TERM_BOTH, "export", (-15, 143), False),
        (TERM_ONE, "rollout", (143,), True),
        (TERM_ONE, "rollout", (-15,), False),
        (TERM_ONE, "rollout", (), False),
        (TERM_ONE, "export", (), True),
        (KILL_ONE, "rollout", (1,), True),
        (KILL_ONE, "rollout", (0,), False),
        (KILL_ONE, "rollout", (None,), False),
        (KILL_ONE, "export", (0,), True),
        (KILL_ONE, "export", (None,), False),
        (KILL_ONE, "over", (0,), True),
        (ALL, "over", (1,), False),
    ],
)
def test_expected_exit_codes(
    interruption: Interruption, phase: str, codes: tuple[int | None, ...], expected: bool
) -> None:
    assert exits_as_expected(interruption, phase, codes) is expected


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Two recorded steps; the checkpoint of the second holds the three bytes "abc"."""
    checkpoint = tmp_path / "checkpoints" / "step_000002"
    (checkpoint / "zero").mkdir(parents=True)
    (checkpoint / "zero" / "weights").write_bytes(b"abc")
    listed = {"files": {"zero/weights": {"bytes": 3, "sha256": SHA256_ABC}}}
    (checkpoint / "manifest.json").write_text(json.dumps(listed))
    (tmp_path / "checkpoints" / "latest").write_text("step_000002\n")
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    return tmp_path


def test_an_intact_run_directory_is_not_torn(run_dir: Path) -> None:
    assert torn_files(run_dir) == []


def test_a_run_directory_without_a_checkpoint_is_not_torn(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".writing-step_000001").mkdir(parents=True)
    assert torn_files(tmp_path) == []


@pytest.mark.parametrize("content", [b"abd", b"ab", b""])
def test_a_file_that_differs_from_the_manifest_is_torn(run_dir: Path, content: bytes) -> None:
    (run_dir / "checkpoints/step_000002/zero/weights").write_bytes(content)
    assert torn_files(run_dir) == ["step_000002/zero/weights"]


def test_a_missing_or_unlisted_file_is_torn(run_dir: Path) -> None:
    zero = run_dir / "checkpoints/step_000002/zero"
    (zero / "weights").rename(zero / "other")
    assert torn_files(run_dir) == ["step_000002/zero/other", "step_000002/zero/weights"]


@pytest.mark.parametrize("manifest", [None, "", "[]", "{}", '{"files": {"zero'])
def test_a_checkpoint_without_a_readable_manifest_is_torn(run_dir: Path, manifest: str | None) -> None:
    path = run_dir / "checkpoints/step_000002/manifest.json"
    path.unlink() if manifest is None else path.write_text(manifest)
    assert [fault.partition(":")[0] for fault in torn_files(run_dir)] == ["step_000002/manifest.json"]


@pytest.mark.parametrize("latest", ["", "step_000003\n"])
def test_a_pointer_to_no_checkpoint_is_torn(run_dir: Path, latest: str) -> None:
    (run_dir / "checkpoints/latest").write_text(latest)
    assert len(torn_files(run_dir)) == 1


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('{"step": 1}\n{"step": 2}\n{"st', ["metrics.jsonl, line 3: torn"]),
        ('{"step": 1}\n{"st\n{"step": 2}\n', ["metrics.jsonl, line 2: torn"]),
        ('{"step": 1}\n{"step": 2}', ["metrics.jsonl: the last line has no newline"]),
        ('{"step": 1}\n{"step": 1}\n', ["metrics.jsonl: steps [1, 1]"]),
        ('{"step": 1}\n{"step": 3}\n', ["metrics.jsonl: steps [1, 3]"]),
        ('{"step": 2}\n', ["metrics.jsonl: steps [2]"]),
        ("", []),
    ],
)
def test_torn_repeated_and_missing_metrics_are_found(run_dir: Path, text: str, faults: list[str]) -> None:
    (run_dir / "metrics.jsonl").write_text(text)
    assert torn_files(run_dir) == faults


def test_trajectories_neither_trained_on_skipped_nor_pending_are_lost() -> None:
    rows = [
        {"uec/retained_regular": 9, "uec/retained_exploration": 2, "uec/pending": 11},
        {
            "uec/retained_regular": 20,
            "uec/retained_exploration": 0,
            "update/trajectories": 16,
            "update/skipped_trajectories": 8,
            "uec/pending": 7,
        },
    ]
    assert lost_trajectories(rows) == 0  # 9 + 2 + 20 - (16 + 8) - 7
    assert lost_trajectories([rows[0], {**rows[1], "uec/pending": 4}]) == 3
    assert lost_trajectories([rows[0], {**rows[1], "update/trajectories": 24}]) == -8
    assert lost_trajectories([]) == 0


def _run_dir(path: Path, rows: list[dict[str, object]]) -> Path:
    (path / "samples").mkdir(parents=True)
    (path / "export").mkdir()
    (path / "samples" / "step_000001.jsonl").write_text("{}\n")
    (path / "export" / "model.safetensors").write_bytes(b"abc")
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_only_measured_metrics_may_differ(tmp_path: Path) -> None:
    measured = {"time/step": 1.0, "tokens_per_second": 2.0, "memory/peak_gib": 3.0, "mfu": 0.1}
    row = {"step": 1, "lr": 1e-6, "grad_norm": 0.5}
    reference = _run_dir(tmp_path / "reference", [{**row, **measured}])
    assert differences(reference, _run_dir(tmp_path / "same", [{**row, "time/step": 9.0}])) == []
    other = _run_dir(tmp_path / "other", [{"step": 1, "lr": 2e-6, "loss/kl": 0.0}])
    assert differences(reference, other) == ["step 1: grad_norm", "step 1: loss/kl", "step 1: lr"]


def test_missing_and_changed_files_and_steps_are_differences(tmp_path: Path) -> None:
    reference, run = (_run_dir(tmp_path / name, [{"step": 1}, {"step": 2}]) for name in ("reference", "run"))
    (run / "metrics.jsonl").write_text('{"step": 1}\n')
    (run / "samples" / "step_000001.jsonl").rename(run / "samples" / "step_000002.jsonl")
    (run / "export" / "model.safetensors").write_bytes(b"abd")
    assert differences(reference, run) == [
        "metrics.jsonl: steps [1], not [1, 2]",
        "export/model.safetensors",
        "samples/step_000001.jsonl",
        "samples/step_000002.jsonl",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("program", "code"), [("raise SystemExit(143)", 143), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_an_ended_process_has_an_exit_code_until_its_parent_collects_it(program: str, code: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", program])
    assert parent_pid(process.pid) == os.getpid()
    until = time.monotonic() + 20
    while not has_ended(process.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert exit_code(process.pid) == code
    process.wait()
    assert has_ended(process.pid)
    with pytest.raises(ProcessLookupError):
        exit_code(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_running_process_has_no_exit_code() -> None:
    assert exit_code(os.getpid()) is None
    assert not has_ended(os.getpid())


def _result(interruption: str, phase: str, **resumed: object) -> MomentResult:
    interrupted = Interrupted(phase, (), True, 0.1, False, ())
    fields = {"finished": True, "seconds_to_restart": 12.0, "differences": (), "lost": 0, **resumed}
    return MomentResult(interruption, Moment("", 0.0, 0), interrupted, Resumed(**fields))  # type: ignore[arg-type]


def test_the_table_sums_by_interruption_and_losses_and_repeats_do_not_cancel() -> None:
    results = [
        _result(ALL.name, "update"),
        _result(ALL.name, "export", lost=3),
        _result(ALL.name, "update", lost=-3, differences=("step 2: lr",)),
        _result(TERM_ONE.name, "start", finished=False),
    ]
    lines = results_table(results).splitlines()
    columns = ["moments", "start", "update", "export", "finished", "equal", "lost", "torn"]
    # "expected exits" is the only heading of two words.
    heads = lines[0].replace("expected exits", "expected_exits").split()

    def cells(line: str, name: str) -> list[str]:
        values = dict(zip(heads, line.removeprefix(name).split(), strict=True))
        return [values[column] for column in columns]

    assert cells(lines[1], ALL.name) == ["3", "0", "2", "1", "3", "2", "6", "0"]
    assert cells(lines[4], TERM_ONE.name) == ["1", "1", "0", "0", "0", "1", "0", "0"]
    assert cells(lines[-1], "all") == ["4", "1", "2", "1", "3", "3", "6", "0"]


def test_every_fault_is_listed() -> None:
    assert _result(ALL.name, "update").faults == []
    torn = ("latest names 'x', which does not exist",)
    interrupted = Interrupted("update", (143, None), False, 60.0, False, torn)
    resumed = Resumed(False, None, ("step 2: lr",), -3.0)
    assert MomentResult(TERM_BOTH.name, Moment("", 0.0, 0), interrupted, resumed).faults == [
        "ranks ended with (143, None)",
        "latest names 'x', which does not exist",
        "did not finish when resumed",
        "step 2: lr",
        "-3 trajectories lost",
    ]
