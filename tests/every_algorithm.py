"""Two steps of the tiny recipe with every algorithm, one after the other in the same ranks.

deepspeed --num_accelerators 2 tests/every_algorithm.py DIRECTORY key=value …

Each run's directory is DIRECTORY/ALGORITHM.
"""

from __future__ import annotations

import sys
from typing import get_args

from vlm_uec.config import Algorithm, load_config
from vlm_uec.policy.zero import start_distributed, stop_distributed
from vlm_uec.ranks.meeting import meet
from vlm_uec.ranks.stopping import StopRequest
from vlm_uec.run import Run


def main() -> None:
    directory, *overrides = [argument for argument in sys.argv[1:] if not argument.startswith("--local_rank")]
    start_distributed(meet())
    for algorithm in get_args(Algorithm):
        paths = [f"algorithm={algorithm}", f"train.run_dir={directory}/{algorithm}"]
        Run(load_config("configs/tiny_cpu.yaml", [*overrides, *paths]), StopRequest()).execute()
    stop_distributed()


if __name__ == "__main__":
    main()
