"""Prints the entropy study's tables in Markdown, from its JSON file.

    python benchmarks/study/tables.py docs/study/study.json

Intervals are Student's, 95 %, over seeds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.study.tables import tables

if __name__ == "__main__":
    print("\n".join(tables(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))), end="")
