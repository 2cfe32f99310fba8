"""Short runs one after the other in the same ranks, since starting ranks takes longer than such a run.

deepspeed --num_accelerators 2 tests/many_runs.py RUNS.json

RUNS.json holds, by name, each run's settings.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vlm_uec.config import load_config
from vlm_uec.policy.zero import start_distributed, stop_distributed
from vlm_uec.ranks.meeting import meet
from vlm_uec.ranks.stopping import StopRequest
from vlm_uec.run import Run


def main() -> None:
    runs = json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))
    start_distributed(meet())
    for settings in runs.values():
        Run(load_config("configs/tiny_cpu.yaml", settings), StopRequest()).execute()
    stop_distributed()


if __name__ == "__main__":
    main()
