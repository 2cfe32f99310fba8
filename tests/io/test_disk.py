"""A full or read-only disk during a checkpoint gives a one-line error and keeps the previous checkpoint."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fakes import run_on_ranks
from tests.support.launch import synthetic_data, workspace
from tests.support.rank_processes import RankProcesses
from vlm_uec.checkpoint import Contents, find_checkpoint, save_checkpoint
from vlm_uec.checkpoint import store as checkpoint
from vlm_uec.checkpoint.directory import KeepCounts
from vlm_uec.checkpoint.manifest import read_manifest, verify_files
from vlm_uec.checkpoint.state import Origin, TrainState
from vlm_uec.errors import UserError
from vlm_uec.io.disk_space import translate_write_errors

pytestmark = pytest.mark.slow

MIB = 1 << 20


def _save(run_dir: Path, step: int, weights: int) -> Path:
    """Saves a checkpoint as a run does; `weights`: bytes of weights."""

    def write(directory: Path) -> None:
        (directory / "zero").mkdir()
        (directory / "zero" / "weights").write_bytes(os.urandom(weights))

    with translate_write_errors(run_dir, "train.run_dir"):
        save_checkpoint(
            run_dir, Contents(TrainState(step), Origin("d", "m", "l"), ""), write, KeepCounts(9, 0)
        )
    return run_dir / "checkpoints" / f"step_{step:06d}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs permission to mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _check_intact(checkpoint: Path) -> None:
    run_dir = checkpoint.parents[1]
    assert find_checkpoint(run_dir, "auto") == checkpoint
    verify_files(checkpoint, read_manifest(checkpoint))
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["latest", checkpoint.name]


def test_too_little_disk_space_is_detected_before_writing(small_disk: Path) -> None:
    first = _save(small_disk, 10, 2 * MIB)
    with pytest.raises(UserError, match=r"train\.run_dir .* are free and a checkpoint takes 2\.0 MiB"):
        _save(small_disk, 20, 2 * MIB)
    _check_intact(first)


def test_a_disk_that_becomes_full_during_a_checkpoint(small_disk: Path) -> None:
    """The checkpoint is larger than estimated, or another process wrote files."""
    first = _save(small_disk, 10, MIB // 2)
    with pytest.raises(UserError, match=r"train\.run_dir .*cannot be written \(No space left on device\)"):
        _save(small_disk, 20, 3 * MIB)
    _check_intact(first)
    _save(small_disk, 30, MIB)  # the space of the incomplete checkpoint is free again


def test_a_slow_rank_removes_files_written_after_the_cleanup_of_rank_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = Contents(TrainState(7), Origin("d", "m", "l"), "")
    errors: list[OSError] = []

    def work(rank: int) -> None:
        def write(directory: Path) -> None:
            for _ in range(1000 * rank):
                if not directory.exists():
                    break
                time.sleep(0.01)
            (directory / "zero").mkdir(parents=True)
            (directory / "zero" / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt").write_bytes(b"half")
            raise OSError(f"rank {rank}: no room")

        try:
            save_checkpoint(tmp_path, contents, write, KeepCounts(9, 0))
        except OSError as error:
            errors.append(error)

    run_on_ranks(monkeypatch, 2, work, checkpoint)
    assert sorted(map(str, errors)) == ["rank 0: no room", "rank 1: no room"]
    assert list((tmp_path / "checkpoints").iterdir()) == []


@contextmanager
def _without_root_permissions() -> Iterator[None]:
    """Root can write anywhere, so the block runs as another user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_run_directory_that_became_read_only() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        first = _save(run_dir, 10, 10)
        for path in (run_dir, first.parent):
            path.chmod(0o555)
        with (
            _without_root_permissions(),
            pytest.raises(UserError, match=r"cannot be written \(Permission denied\)"),
        ):
            _save(run_dir, 20, 10)
        for path in (run_dir, first.parent):
            path.chmod(0o755)
        _check_intact(first)


@pytest.mark.end_to_end
def test_a_file_size_limit_on_two_ranks_keeps_the_previous_checkpoint() -> None:
    """The file size limit acts like a quota: the second checkpoint, with Adam's moments, exceeds it, and both
    ranks fail inside DeepSpeed."""
    run_dir = workspace() / "quota"
    with RankProcesses(run_dir, synthetic_data(), "train.steps=2", file_size=2 * MIB) as ranks:
        assert ranks.exit_codes(within=90) == [2, 2], ranks.output
        errors = [line for line in ranks.output.splitlines() if line.startswith("error: ")]
        assert errors[0].endswith(
            "(the weights file is incomplete: disk full or quota exceeded); make room, then resume=auto"
        )
        assert "Traceback" not in ranks.output
    _check_intact(run_dir / "checkpoints" / "step_000001")
