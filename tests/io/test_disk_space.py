"""Failed writes to a full or read-only directory give a one-line error, for every library that writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vlm_uec.errors import UserError
from vlm_uec.io.disk_space import check_writable, translate_write_errors

# This process cannot write files over 64 KiB: the system call fails in the middle of a file.
WRITE_TOO_MUCH = """
import resource, sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from vlm_uec.errors import UserError
from vlm_uec.io.disk_space import translate_write_errors

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
folder, large = Path(sys.argv[1]), torch.zeros(1 << 20)
for write in (
    lambda: (folder / "text").write_text("x" * (1 << 20)),
    lambda: torch.save(large, folder / "torch"),
    lambda: save_file({"large": large}, folder / "safetensors"),
):
    try:
        with translate_write_errors(folder, "train.run_dir"):
            write()
        print("written")
    except UserError as error:
        print(error)
"""


def test_a_full_disk_is_a_user_error_for_every_writer(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_TOO_MUCH, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith(f"train.run_dir {tmp_path}: cannot be written (")
        assert line.endswith("; make room, then resume=auto")
    assert "File too large" in lines[0]


def test_other_errors_are_not_translated(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="sizes differ"), translate_write_errors(tmp_path, "train.run_dir"):
        raise RuntimeError("sizes differ")


def test_the_check_leaves_no_files_or_folders(tmp_path: Path) -> None:
    check_writable(tmp_path, "--out")
    check_writable(tmp_path / "a" / "b", "--out")
    assert list(tmp_path.iterdir()) == []


def test_too_little_free_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--out .* are free and a checkpoint takes 1048576\.0 GiB"):
        check_writable(tmp_path, "--out", required_bytes=2.0**50)
