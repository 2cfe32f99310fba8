"""The Slurm script, with stand-ins for the commands of a cluster of two nodes."""

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
        if [ "$1" = show ]; then printf 'node-a\\nnode-b\\n'; else echo "$@" >> "$RECORD/requeued"; fi""",
    "nvidia-smi": "exit 1",  # Slurm has the number of GPUs
    # Runs its command once per node, without srun's own options.
    "srun": """
        while [[ "$1" == --* ]]; do shift; done
        for node in 0 1; do SLURM_NODEID=$node "$@" & done
        wait""",
    "deepspeed": """
        while [ "$1" ]; do echo "$1"; shift; done > "$RECORD/node_$SLURM_NODEID.new"
        cp .hostfile.* "$RECORD/hosts" 2>/dev/null
        mv "$RECORD/node_$SLURM_NODEID.new" "$RECORD/node_$SLURM_NODEID"
        if [ "$LONG" ]; then until [ -e "$RECORD/signal" ]; do sleep 0.05; done; fi""",
    "pkill": 'echo "$@" > "$RECORD/signal"',
}


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job script."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, body in STAND_INS.items():
        (commands / name).write_text(f"#!/bin/bash\n{body}\n")
        (commands / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "RECORD": str(tmp_path),
        "SLURM_JOB_ID": "41",
        "SLURM_JOB_NODELIST": "node-[a-b]",
        "SLURM_NNODES": "2",
        "SLURM_GPUS_ON_NODE": "8",
    }


def _script(cluster: dict[str, str]) -> subprocess.Popen[str]:
    command = ["bash", str(ROOT / "configs" / "slurm.sh"), "a config.yaml", "train.steps=5"]
    return subprocess.Popen(command, cwd=cluster["RECORD"], env=cluster, stderr=subprocess.PIPE, text=True)


def test_every_node_starts_one_launcher_with_its_node_rank(cluster: dict[str, str], tmp_path: Path) -> None:
    script = _script(cluster)
    assert script.wait(timeout=30) == 0, script.communicate()
    assert (tmp_path / "hosts").read_text() == "node-a slots=8\nnode-b slots=8\n"
    for node in range(2):
        arguments = (tmp_path / f"node_{node}").read_text().splitlines()
        expected = f"--hostfile {tmp_path}/.hostfile.41 --no_ssh --node_rank {node} --master_addr node-a"
        expected += " --master_port 20041 train.py --config 'a config.yaml' train.steps=5 resume=auto"
        assert arguments == shlex.split(expected)
    assert not (tmp_path / ".hostfile.41").exists()
    assert not (tmp_path / "requeued").exists()


def test_before_the_time_limit_ranks_get_a_signal_and_the_job_is_requeued(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    script = _script({**cluster, "LONG": "yes"})
    deadline = time.monotonic() + 30
    while not all((tmp_path / f"node_{node}").exists() for node in range(2)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    script.send_signal(signal.SIGUSR1)
    script.wait(timeout=30)
    assert "-TERM" in (tmp_path / "signal").read_text()
    assert (tmp_path / "requeued").read_text() == "requeue 41\n"
