"""A lock excludes other processes and ends with its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vlm_uec.errors import UserError
from vlm_uec.io.lock import acquire_lock

HOLDER = """
import sys
from pathlib import Path
from vlm_uec.io.lock import acquire_lock
locked = acquire_lock(Path(sys.argv[1]), "")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_released_when_its_process_ends(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    lock.touch()
    command = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        with pytest.raises(UserError, match="taken"):
            acquire_lock(lock, "taken")
        holder.kill()
    acquire_lock(lock, "taken").close()
