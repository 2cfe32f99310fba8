"""Measures how training on each source changes entropy: probe updates from one source, undone after each.

    OMP_NUM_THREADS=1 deepspeed --num_accelerators 1 benchmarks/study/probe.py OUT.json key=value …

Trains UEC (`key=value` as for train.py) and stops every few steps. At each stop the current policy samples
the next steps' prompts. For each source, a copy of the policy makes one step of plain gradient descent,
normalised to a fixed length, on the trajectories of this source alone, with the trainer's loss and passes.
The exact entropy is measured on fixed states: those of all sampled regular responses, and separately those of
responses to difficult prompts. Then the copy is reset. Plain descent, because Adam's moments mix all sources;
a fixed length, because the direction is measured and not the magnitude.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

import torch

from benchmarks.lib.launching import TINY_CONFIG
from benchmarks.lib.study.prober import Probe, Prober
from vlm_uec.config import load_config
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.ranks.signals import StopRequest
from vlm_uec.run.components import build_components
from vlm_uec.zero.engine import start_distributed, stop_distributed

STEPS, EVERY, FIRST = 60, 5, 10


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--local_rank")]
    out, overrides = Path(arguments[0]), arguments[1:]
    config = load_config(TINY_CONFIG, [*overrides, "algorithm=uec"])
    start_distributed(rendezvous())
    torch.set_num_threads(1)
    run = build_components(config, StopRequest())
    prober = Prober(config, run)
    probes: list[Probe] = []
    for step in range(1, STEPS + 1):
        run.trainer.step(step)
        if step >= FIRST and step % EVERY == 0:
            probes += prober.probe(step)
            print(*probes[-3:], sep="\n", flush=True)
    out.write_text(json.dumps([asdict(probe) for probe in probes], indent=1) + "\n", encoding="utf-8")
    stop_distributed()


if __name__ == "__main__":
    main()
