"""Ranks join one store, or report that a rank is missing."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from benchmarks.lib.launching import free_port
from vlm_uec.errors import RunFailed, UserError
from vlm_uec.ranks.rendezvous import rendezvous


def test_a_process_without_a_launcher_is_rank_0_of_1(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that monkeypatch undoes what `rendezvous` sets
        monkeypatch.delenv(name)
    joined = rendezvous(5)
    assert (joined.rank, joined.ranks) == (0, 1)


def test_an_incomplete_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(UserError, match="RANK is set but WORLD_SIZE is not"):
        rendezvous(5)


OTHER = """
import time
from vlm_uec.ranks.rendezvous import rendezvous
joined = rendezvous(20)
joined.store.set("greeting", "hello")
time.sleep(60)
"""


def test_two_ranks_share_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    environment["MASTER_PORT"] = str(free_port())
    for name, value in {**environment, "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], env={**environment, "RANK": "1", "PYTHONPATH": "."}
    ) as other:
        joined = rendezvous(20)
        assert joined.store.get("greeting") == b"hello"
        other.kill()


def test_a_missing_rank_is_an_error_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    for name, value in alone.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    start = time.monotonic()
    with pytest.raises(RunFailed, match="rank 0 waited 1 s for all 2 ranks to start"):
        rendezvous(1)
    assert time.monotonic() - start < 10
