"""Everything to measure when a GPU is at hand for some minutes, each part with a time limit.

    python benchmarks/speed/gpu_session.py                                                # one NVIDIA GPU
    OMP_NUM_THREADS=1 DS_ACCELERATOR=cpu python benchmarks/speed/gpu_session.py --tiny    # try it on a CPU

A part that fails or exceeds its limit does not stop the others. Prints each part's output and a summary; exit
code 1 if a part did not end well.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEED = "benchmarks/speed"


@dataclass(frozen=True)
class Part:
    """A command of this interpreter, and its time limit in seconds."""

    name: str
    arguments: tuple[str, ...]
    limit: float


def parts(tiny: bool) -> list[Part]:
    """The most valuable first; `tiny`: a model of 2 M weights."""
    shape = ("--random", "2m", "--shape", "short") if tiny else ("--random", "3b", "--shape", "gpu")
    rounds = ("--rounds", "1" if tiny else "3")
    step = ("--shape", "short") if tiny else ("--shape", "3b")
    rollouts = [
        Part(
            f"rollout, top-p {top_p}",
            (f"{SPEED}/rollout.py", *shape, *rounds, "--top-p", top_p, "--case", "forced", "free", "ceiling"),
            900,
        )
        for top_p in ("0.99", "1.0")
    ]
    return [
        Part("tests", ("-m", "pytest", "-q", "tests/rollout/test_gpu.py"), 300),
        Part("trace", (f"{SPEED}/trace.py", *shape), 300),
        Part("step", (f"{SPEED}/step.py", *step, "--steps", "2", "--trl-limit", "300"), 900),
        *rollouts,
    ]


def run(part: Part) -> str:
    """How the part ended; its output is printed as it comes."""
    print(f"\n=== {part.name}: {' '.join(part.arguments)}", flush=True)
    start = time.monotonic()
    # A process group of its own, because the parts start processes.
    process = subprocess.Popen([sys.executable, *part.arguments], cwd=ROOT, start_new_session=True)
    try:
        code = process.wait(part.limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"ended at its limit of {part.limit:.0f} s"
    seconds = time.monotonic() - start
    return f"done in {seconds:.0f} s" if code == 0 else f"exit code {code} after {seconds:.0f} s"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="a tiny model and few rounds")
    arguments = parser.parse_args()
    ends = {part.name: run(part) for part in parts(arguments.tiny)}
    print("\n=== summary")
    for name, end in ends.items():
        print(f"{name}: {end}")
    return int(not all(end.startswith("done") for end in ends.values()))


if __name__ == "__main__":
    raise SystemExit(main())
