"""A checkpoint's pickles are read as data: what else they say is not run, and ends in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from deepspeed.runtime.fp16.loss_scaler import LossScaler
from deepspeed.runtime.zero.config import ZeroStageEnum

from vlm_uec.errors import UserError
from vlm_uec.zero.checkpoint import restricted_pickles


class Command:
    """Runs when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def _as_deepspeed_does(path: Path) -> object:
    return torch.load(path, weights_only=False)


def test_a_forged_file_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    torch.save({"optimizer": Command(f"touch {mark}")}, tmp_path / "forged.pt")
    with (
        pytest.raises(UserError, match=r"hold more than weights \(\w+\.system\); resume=PATH"),
        restricted_pickles(tmp_path),
    ):
        _as_deepspeed_does(tmp_path / "forged.pt")
    assert not mark.exists()
    # The test would show it: unrestricted, the file does what it says.
    _as_deepspeed_does(tmp_path / "forged.pt")
    assert mark.exists()


def test_what_zero_files_hold_is_read(tmp_path: Path) -> None:
    held = {"stage": ZeroStageEnum.weights, "scaler": LossScaler(scale=1.0), "flat": torch.arange(3)}
    torch.save(held, tmp_path / "zero.pt")
    with restricted_pickles(tmp_path):
        read = _as_deepspeed_does(tmp_path / "zero.pt")
    assert isinstance(read, dict)
    assert read["stage"] is ZeroStageEnum.weights
    assert read["scaler"].cur_scale == 1.0
    assert torch.equal(read["flat"], torch.arange(3))


@pytest.mark.parametrize("before", [None, "0"])
def test_the_restriction_ends_with_its_block(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str | None
) -> None:
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv(name, before)
    with restricted_pickles(tmp_path):
        assert os.environ[name] == "1"
    assert os.environ.get(name) == before
