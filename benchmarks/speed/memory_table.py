"""Prints the table of docs/memory.md: estimated memory per GPU, by model, trained parts and number of GPUs.

    python benchmarks/speed/memory_table.py

The estimate counts bytes (vlm_uec/forecast); nothing is measured. Settings of the 7B recipe, prompts of 1,000
tokens. Not included: memory of the libraries, and keys and values, which use the remaining memory.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.speed.memory_table import memory_table

if __name__ == "__main__":
    print(memory_table(), end="")
