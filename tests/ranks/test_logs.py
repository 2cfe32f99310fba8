"""Log files of ranks, in a subprocess whose file descriptors may be redirected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.lib.launching import ROOT
from vlm_uec.ranks.logs import log_path

SCRIPT = """
import logging, os, sys
from pathlib import Path
from vlm_uec.cli import configure_logging
from vlm_uec.ranks import logs
logs.rank = lambda: {rank}
configure_logging()
print("before")
try:
    with logs.rank_log(Path(sys.argv[1])) as log:
        print("printed")
        print("warned", file=sys.stderr)
        os.write(2, b"from a library in C\\n")
        logging.getLogger("vlm_uec.test").warning("logged")
        {work}
finally:
    print("after")
"""


def _run(run_dir: Path, rank: int, work: str = "pass") -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(rank=rank, work=work)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, str(run_dir)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_rank_0_stays_on_the_console(tmp_path: Path) -> None:
    done = _run(tmp_path, rank=0)
    assert done.stdout.split() == ["before", "printed", "after"]
    assert "warned" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_another_rank_writes_to_its_file_and_logs_to_the_console(tmp_path: Path) -> None:
    done = _run(tmp_path, rank=3)
    assert done.stdout.split() == ["before", "after"]
    assert done.stderr.strip() == "warning: logged"
    assert log_path(tmp_path, 3).read_text().splitlines() == ["printed", "warned", "from a library in C"]


def test_a_resumed_run_appends_to_the_same_file(tmp_path: Path) -> None:
    for _ in range(2):
        _run(tmp_path, rank=1)
    assert log_path(tmp_path, 1).read_text().count("printed") == 2


def test_an_error_is_in_the_file_and_on_the_console(tmp_path: Path) -> None:
    done = _run(tmp_path, rank=1, work="raise ValueError('a bad number')")
    assert done.returncode == 1
    for text in (log_path(tmp_path, 1).read_text(), done.stderr):
        assert "ValueError: a bad number" in text
