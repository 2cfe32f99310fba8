"""The Slurm example, with stand-ins for the commands of a cluster of two nodes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT

STAND_INS = {
    "scontrol": """
        if [ "$1" = show ]; then printf 'node-a\\nnode-b\\n'; else echo "$@" >> "$SEEN/requeued"; fi""",
    "nvidia-smi": "exit 1",  # Slurm says how many there are
    # Once a node, without its own options.
    "srun": """
        while [[ "$1" == --* ]]; do shift; done
        for node in 0 1; do SLURM_NODEID=$node "$@" & done
        wait""",
    "deepspeed": """
        while [ "$1" ]; do echo "$1"; shift; done > "$SEEN/node_$SLURM_NODEID.new"
        cp .hostfile.* "$SEEN/hosts" 2>/dev/null
        mv "$SEEN/node_$SLURM_NODEID.new" "$SEEN/node_$SLURM_NODEID"
        if [ "$LONG" ]; then until [ -e "$SEEN/told" ]; do sleep 0.05; done; fi""",
    "pkill": 'echo "$@" > "$SEEN/told"',
}


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job's script."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, body in STAND_INS.items():
        (commands / name).write_text(f"#!/bin/bash\n{body}\n")
        (commands / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "SEEN": str(tmp_path),
        "SLURM_JOB_ID": "41",
        "SLURM_JOB_NODELIST": "node-[a-b]",
        "SLURM_NNODES": "2",
        "SLURM_GPUS_ON_NODE": "8",
    }


def _script(cluster: dict[str, str]) -> subprocess.Popen[str]:
    command = ["bash", str(ROOT / "configs" / "slurm.sh"), "a config.yaml", "train.steps=5"]
    return subprocess.Popen(command, cwd=cluster["SEEN"], env=cluster, stderr=subprocess.PIPE, text=True)


def test_every_node_starts_one_launcher_that_knows_its_number(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    script = _script(cluster)
    assert script.wait(timeout=30) == 0, script.communicate()
    assert (tmp_path / "hosts").read_text() == "node-a slots=8\nnode-b slots=8\n"
    for node in range(2):
        told = (tmp_path / f"node_{node}").read_text().splitlines()
        expected = f"--hostfile {tmp_path}/.hostfile.41 --no_ssh --node_rank {node} --master_addr node-a"
        expected += " --master_port 20041 train.py --config 'a config.yaml' train.steps=5 resume=auto"
        assert told == shlex.split(expected)
    assert not (tmp_path / ".hostfile.41").exists()
    assert not (tmp_path / "requeued").exists()


def test_before_the_time_limit_the_ranks_are_told_and_the_job_is_queued_again(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    script = _script({**cluster, "LONG": "yes"})
    deadline = time.monotonic() + 30
    while not all((tmp_path / f"node_{node}").exists() for node in range(2)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    script.send_signal(signal.SIGUSR1)
    script.wait(timeout=30)
    assert "-TERM" in (tmp_path / "told").read_text()
    assert (tmp_path / "requeued").read_text() == "requeue 41\n"
