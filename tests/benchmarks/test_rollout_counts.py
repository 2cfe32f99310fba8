from __future__ import annotations

import torch

from benchmarks.lib.speed.gpu_counts.decode_operations import OperationCounter, fake_cuda
from benchmarks.lib.speed.gpu_counts.pool_replay import PoolReplay, ReplayShape
from benchmarks.lib.speed.gpu_counts.rollout_counts import rows
from vlm_uec.rollout.cache import View

ONE_TOKEN = ReplayShape(prompts=3, group=1, slots=8, width=256, mean=1e-6)


def test_the_counts_are_within_their_bounds() -> None:
    bounded = [row for row in rows() if row.bound is not None]
    assert len(bounded) == 6
    for row in bounded:
        assert 0 < row.value <= (row.bound or 0), row.name


def test_views_and_allocations_are_not_operations() -> None:
    with fake_cuda(), OperationCounter() as counter:
        matrix = torch.empty(4, 6)
        halves = matrix.view(2, 12).t()[:3].unflatten(1, (1, 2))
        matrix.add_(1.0)
        (halves * 2).relu()
    assert counter.operations == {"add_": 1, "mul": 1, "relu": 1}


def test_a_replay_of_responses_of_one_token() -> None:
    """Three rows of the eight slots attend to no valid key: their first token is not decoded."""
    valid, masked = (PoolReplay(ONE_TOKEN, valid_keys=kind).run() for kind in (True, False))
    assert valid.own_valid == masked.own_valid == 0
    assert valid.own_read == 8 * 8, "one position a slot in each of eight steps"
    assert masked.own_read == 8 * 8 * 256
    assert masked.views == {View(slots=8, rows=8, length=256, prefix_groups=8)}
    assert valid.prompt_read == valid.prompt_valid > 0
    assert masked.prompt_read > masked.prompt_valid


def test_the_masked_form_reads_more() -> None:
    shape = ReplayShape(prompts=40, group=5, slots=64, width=1024, mean=200)
    valid, masked = (PoolReplay(shape, valid_keys=kind).run() for kind in (True, False))
    assert valid.own_valid == masked.own_valid
    assert valid.own_read < masked.own_read
    assert len(valid.views) < len(masked.views)
