"""Shared by benchmarks and tests: the repository root, a free port, the launcher, settings of short runs."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY_CONFIG = "configs/tiny_cpu.yaml"

# |B| = 8, G = 3, G' = 8: with these sizes the queue is not empty after most updates.
SHORT = (
    "rollout.prompts=8",
    "rollout.n=3",
    "rollout.max_tokens=16",
    "exploration.n=8",
    # A reward by hash needs responses that differ; the bundled model's token distributions are too peaked.
    "rollout.temperature=2.0",
    "exploration.temperature=2.4",
    "optim.minibatch=2",
    "data.max_prompt_tokens=256",
    "reward.function=tests/support/plugins/mixed_reward.py:reward",
    # If no response ends before the limit, the filter drops all correct ones.
    "overlong_filter.enabled=false",
    "stabilizer.frequency=2",
    "stabilizer.capacity=1.0",
    "stabilizer.min_advantage=-9",
    # The tiny recipe freezes its tower; training it must work as well.
    "model.freeze_vision=false",
    "train.save_every=1",
    "train.eval_every=0",
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def deepspeed_command(*options: str) -> list[str]:
    """The launcher of this interpreter's environment with its options; a script and its arguments follow."""
    return [str(Path(sys.executable).with_name("deepspeed")), *options]
