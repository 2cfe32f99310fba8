"""The repository root, a free port and the settings of short runs, shared by benchmarks and tests."""

from __future__ import annotations

import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# |B| = 8, G = 3, G' = 8: sizes that leave something waiting in the queue after most updates.
SHORT = (
    "rollout.prompts=8",
    "rollout.n=3",
    "rollout.max_tokens=16",
    "exploration.n=8",
    # A reward by hash needs responses that differ; the bundled model is sure of most of its tokens.
    "rollout.temperature=2.0",
    "exploration.temperature=2.4",
    "optim.minibatch=2",
    "data.max_prompt_tokens=256",
    "reward.function=tests/support/plugins/mixed_reward.py:reward",
    # A model that never ends its responses would have all its right ones dropped.
    "overlong_filter.enabled=false",
    "stabilizer.frequency=2",
    "stabilizer.capacity=1.0",
    "stabilizer.min_advantage=-9",
    # The tiny recipe keeps its tower; the promise is that it can be trained.
    "model.freeze_vision=false",
    "train.save_every=1",
    "train.eval_every=0",
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
