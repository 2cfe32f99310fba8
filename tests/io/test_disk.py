"""Disks that are full or read-only while a checkpoint is written: one line, and the one before it whole."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fakes import on_ranks
from tests.support.launch import synthetic_data, workspace
from tests.support.rank_processes import Ranks
from vlm_uec.checkpoint import Contents, find_checkpoint, save_checkpoint
from vlm_uec.checkpoint import store as checkpoint
from vlm_uec.checkpoint.directory import Keep
from vlm_uec.checkpoint.manifest import read_manifest, verify
from vlm_uec.checkpoint.state import Origin, TrainState
from vlm_uec.errors import UserError
from vlm_uec.io.disk_space import translate_write_errors

pytestmark = pytest.mark.slow

MIB = 1 << 20


def _save(run_dir: Path, step: int, weights: int) -> Path:
    """As a run does, with so many bytes of weights."""

    def write(directory: Path) -> None:
        (directory / "zero").mkdir()
        (directory / "zero" / "weights").write_bytes(os.urandom(weights))

    with translate_write_errors(run_dir, "train.run_dir"):
        save_checkpoint(run_dir, Contents(TrainState(step), Origin("d", "m", "l"), ""), write, Keep(9, 0))
    return run_dir / "checkpoints" / f"step_{step:06d}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Three MiB of it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _still_whole(checkpoint: Path) -> None:
    run_dir = checkpoint.parents[1]
    assert find_checkpoint(run_dir, "auto") == checkpoint
    verify(checkpoint, read_manifest(checkpoint))
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["latest", checkpoint.name]


def test_a_disk_without_room_for_another_is_noticed_before_anything_is_written(small_disk: Path) -> None:
    first = _save(small_disk, 10, 2 * MIB)
    with pytest.raises(UserError, match=r"train\.run_dir .* are free and a checkpoint takes 2\.0 MiB"):
        _save(small_disk, 20, 2 * MIB)
    _still_whole(first)


def test_a_disk_that_fills_while_a_checkpoint_is_written(small_disk: Path) -> None:
    """It grew, or somebody else wrote meanwhile."""
    first = _save(small_disk, 10, MIB // 2)
    with pytest.raises(UserError, match=r"train\.run_dir .*cannot be written \(No space left on device\)"):
        _save(small_disk, 20, 3 * MIB)
    _still_whole(first)
    _save(small_disk, 30, MIB)  # the room that the half one took is free again


def test_a_rank_that_still_wrote_when_the_first_had_tidied_up_tidies_up_after_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = Contents(TrainState(7), Origin("d", "m", "l"), "")
    told: list[OSError] = []

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
            save_checkpoint(tmp_path, contents, write, Keep(9, 0))
        except OSError as error:
            told.append(error)

    on_ranks(monkeypatch, 2, work, checkpoint)
    assert sorted(map(str, told)) == ["rank 0: no room", "rank 1: no room"]
    assert list((tmp_path / "checkpoints").iterdir()) == []


@contextmanager
def _without_rights() -> Iterator[None]:
    """Root may write anywhere, so the test is somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_run_folder_that_became_read_only() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        first = _save(run_dir, 10, 10)
        for path in (run_dir, first.parent):
            path.chmod(0o555)
        with _without_rights(), pytest.raises(UserError, match=r"cannot be written \(Permission denied\)"):
            _save(run_dir, 20, 10)
        for path in (run_dir, first.parent):
            path.chmod(0o755)
        _still_whole(first)


@pytest.mark.end_to_end
def test_two_ranks_whose_files_cannot_grow_leave_the_checkpoint_before_whole() -> None:
    """A limit on file size, as quotas set it: with Adam's moments the second checkpoint is over it, and both
    ranks fail inside DeepSpeed."""
    run_dir = workspace() / "quota"
    with Ranks(run_dir, synthetic_data(), "train.steps=2", file_size=2 * MIB) as ranks:
        assert ranks.codes(within=90) == [2, 2], ranks.output
        told = [line for line in ranks.output.splitlines() if line.startswith("error: ")]
        assert told[0].endswith(
            "(the weights file is incomplete: disk full or quota exceeded); make room, then resume=auto"
        )
        assert "Traceback" not in ranks.output
    _still_whole(run_dir / "checkpoints" / "step_000001")
