"""Prints what a step costs a GPU, counted on a CPU: operations, bytes and host synchronisations.

    OMP_NUM_THREADS=1 DS_ACCELERATOR=cpu python benchmarks/speed/gpu_counts.py

Fake tensors give the bytes and operations, a model without arithmetic the host time. Every count with a bound
must meet it: exit code 1 if one does not.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.speed.gpu_counts import block_mask, head, micro_batch, rank_gather, rollout_counts
from benchmarks.lib.speed.gpu_counts.table import format_table, holds

MODULES = (rollout_counts, micro_batch, head, block_mask, rank_gather)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [row for module in MODULES for row in module.rows()]
    print(format_table(rows))
    return int(not all(map(holds, rows)))


if __name__ == "__main__":
    raise SystemExit(main())
