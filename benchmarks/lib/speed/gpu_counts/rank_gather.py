"""Bytes and time of one rank in the gather of a step's trajectories between eight ranks."""

from __future__ import annotations

import pickle
import random
import time

import torch

from benchmarks.lib.speed.gpu_counts.rows import CountRow
from vlm_uec.ranks.columns import TrajectoryColumns
from vlm_uec.types import Response, Reward, Trajectory

RANKS, TRAJECTORIES = 8, 2_560
REPEATS = 3


def rows() -> list[CountRow]:
    own = _trajectories(TRAJECTORIES // RANKS)
    # The fastest: other processes only make it slower.
    seconds, size = min(_gather(own) for _ in range(REPEATS))
    name = f"gather of {TRAJECTORIES:,} trajectories between {RANKS} ranks"
    return [
        CountRow(f"{name}: CPU time of a rank", seconds, "s", 0.1),
        CountRow(name, size / 1e6, "MB", None),
    ]


def _gather(own: list[Trajectory]) -> tuple[float, int]:
    """CPU seconds of a rank, without the transfer, and bytes: it sends its part and reads all parts."""
    start = time.process_time()
    sent = pickle.dumps(TrajectoryColumns.of(own))
    for _ in range(RANKS):
        pickle.loads(sent).trajectories()  # noqa: S301  (made above)
    return time.process_time() - start, RANKS * len(sent)


def _trajectories(count: int) -> list[Trajectory]:
    """Log-normal lengths: 450 tokens on average, at most 2,048."""
    generator = random.Random(0)
    return [_trajectory(number, round(generator.lognormvariate(5.93, 0.6))) for number in range(count)]


def _trajectory(number: int, length: int) -> Trajectory:
    values = torch.rand(4, min(2048, max(1, length)))
    response = Response(
        problem_id=f"train-{number // 5}",
        index=number % 5,
        source="regular",
        tokens=torch.randint(0, 150_000, (values.shape[1],)),
        behaviour_logprobs=values[0].clone(),
        policy_logprobs=values[1].clone(),
        entropy=values[2].clone(),
        kept_mass=values[3].clone(),
        truncated=False,
    )
    return Trajectory(response, Reward(1.0, 1.0, 0.0, "equal", "right"), 0.5, step=1)
