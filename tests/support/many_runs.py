"""Several short runs in the same ranks, since starting ranks takes longer than a short run.

deepspeed --num_accelerators 2 tests/support/many_runs.py RUNS.json

RUNS.json maps the name of each run to its settings.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vlm_uec.config import load_config
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.ranks.signals import StopRequest
from vlm_uec.run.components import build_components
from vlm_uec.run.loop import run_training
from vlm_uec.zero.engine import start_distributed, stop_distributed


def main() -> None:
    runs = json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))
    start_distributed(rendezvous())
    for settings in runs.values():
        config = load_config("configs/tiny_cpu.yaml", settings)
        run_training(build_components(config, StopRequest()))
    stop_distributed()


if __name__ == "__main__":
    main()
