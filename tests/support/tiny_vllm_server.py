"""The server's program with an engine that only reports its facts, for a machine without vLLM.

`FAULT` in the environment: "dies" raises while it loads, "hangs" never becomes ready.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from vlm_uec.rollout.vllm import server


@dataclass
class Idle:
    """An engine that never samples."""

    facts: dict[str, Any]
    busy: bool = False


def _load(model: str, dtype: str, max_length: int, options: dict[str, Any]) -> Idle:
    print(f"loads {model} in {dtype} for {max_length} tokens with {options}", flush=True)
    fault = os.environ.get("FAULT")
    if fault == "dies":
        raise ValueError("no such engine argument: \x1b[31mred")
    if fault == "hangs":
        time.sleep(600)
    return Idle({"dtype": dtype, "max_length": max_length})


if __name__ == "__main__":
    stand_in = ModuleType("vlm_uec.rollout.vllm.backend")
    stand_in.VllmBackend = _load  # type: ignore[attr-defined]
    sys.modules[stand_in.__name__] = stand_in
    sys.exit(server.main())
