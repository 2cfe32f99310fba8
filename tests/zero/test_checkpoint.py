"""ZeRO checkpoints: pickles are read as data, and a loaded optimizer continues like the saved one."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from deepspeed.runtime.fp16.loss_scaler import LossScaler
from deepspeed.runtime.zero.config import ZeroStageEnum

from vlm_uec.errors import UserError
from vlm_uec.zero.checkpoint import correct_loaded_state, restricted_pickles


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
        pytest.raises(UserError, match=r"contain more than weights \(\w+\.system\).*resume=PATH"),
        restricted_pickles(tmp_path),
    ):
        _as_deepspeed_does(tmp_path / "forged.pt")
    assert not mark.exists()
    # Without the restriction the file does run its command.
    _as_deepspeed_does(tmp_path / "forged.pt")
    assert mark.exists()


def test_classes_of_zero_files_are_read(tmp_path: Path) -> None:
    contents = {"stage": ZeroStageEnum.weights, "scaler": LossScaler(scale=1.0), "flat": torch.arange(3)}
    torch.save(contents, tmp_path / "zero.pt")
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


# --- optimizer state --------------------------------------------------------------------------------------

LR = 0.01


def _weights() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.linspace(-1, 1, count)) for count in (2, 3, 4)]


def _optimizer(weights: list[torch.nn.Parameter], lr: float = LR, decay: float = 0.5) -> torch.optim.AdamW:
    return torch.optim.AdamW(weights, lr=lr, weight_decay=decay)


def _step(optimizer: torch.optim.Optimizer, weights: list[torch.nn.Parameter], gradient: float) -> None:
    for weight in weights:
        weight.grad = torch.full_like(weight, gradient)
    optimizer.step()


def _share_step(optimizer: torch.optim.Optimizer) -> None:
    shared = next(iter(optimizer.state.values()))["step"]
    for state in optimizer.state.values():
        state["step"] = shared


def test_a_shared_step_count_is_separated() -> None:
    separate, shared = _weights(), _weights()
    optimizers = _optimizer(separate), _optimizer(shared)
    for optimizer, weights in zip(optimizers, (separate, shared), strict=True):
        _step(optimizer, weights, 1.0)
    with correct_loaded_state(optimizers[1]):
        _share_step(optimizers[1])
    for optimizer, weights in zip(optimizers, (separate, shared), strict=True):
        _step(optimizer, weights, -0.3)
    assert [float(state["step"]) for state in optimizers[1].state.values()] == [2.0, 2.0, 2.0]
    for expected, weight in zip(separate, shared, strict=True):
        assert torch.equal(expected, weight)


def test_a_fused_optimizer_stays_fused_and_its_counts_are_beside_the_weights() -> None:
    """The checkpoint is of an optimizer that was not fused; the meta device stands for a GPU."""
    weight = torch.nn.Parameter(torch.ones(3, device="meta"))
    optimizer = torch.optim.AdamW([weight])
    optimizer.defaults["fused"] = optimizer.param_groups[0]["fused"] = True
    with correct_loaded_state(optimizer):
        optimizer.param_groups[0]["fused"] = None
        optimizer.state[weight]["step"] = torch.tensor(3.0)
    assert optimizer.param_groups[0]["fused"] is True
    assert optimizer.state[weight]["step"].device.type == "meta"


def test_settings_are_from_the_run_and_the_rest_from_the_checkpoint() -> None:
    saved = _optimizer(_weights(), lr=1e-3, decay=0.1)
    saved.param_groups[0]["betas"] = (0.5, 0.6)
    optimizer = _optimizer(_weights(), lr=1e-6, decay=0.0)
    with correct_loaded_state(optimizer):
        optimizer.load_state_dict(saved.state_dict())
        assert optimizer.param_groups[0]["lr"] == 1e-3
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (1e-6, 0.0, (0.5, 0.6))


def test_step_counts_that_are_plain_numbers_are_unchanged() -> None:
    optimizer = _optimizer(_weights())
    with correct_loaded_state(optimizer):
        for weight in optimizer.param_groups[0]["params"]:
            optimizer.state[weight] = {"step": 3}
    assert [state["step"] for state in optimizer.state.values()] == [3, 3, 3]


@pytest.fixture(scope="module")
def under_deepspeed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The third step of a model with three sub-groups, saved after two steps, for each way to load it."""
    with pytest.MonkeyPatch.context() as patch:
        single_rank = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
        for name, value in {**single_rank, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}.items():
            patch.setenv(name, value)
        # A separate process, because process group, accelerator and ZeRO's hooks cannot be reset.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            return process.submit(_third_steps, tmp_path_factory.mktemp("zero")).result(timeout=120)


def _third_steps(directory: Path) -> dict[str, Any]:
    import deepspeed

    from vlm_uec.zero.checkpoint import convert_to_universal, restricted_pickles

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # takes a minute to compile
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    deepspeed.init_distributed(verbose=False)
    saved = _engine(LR)
    for _ in range(2):
        _update(saved)
    saved.save_checkpoint(str(directory), tag="zero", save_latest=False)
    results = {"uninterrupted": _third_step(saved)}
    convert_to_universal(directory / "zero", directory / "universal")
    with restricted_pickles(directory):
        for universal in (False, True):
            source = directory / "universal" if universal else directory
            results[f"universal={universal}, bare"] = _third_step(
                _loaded(LR, source, universal, corrected=False)
            )
            results[f"universal={universal}"] = _third_step(_loaded(LR, source, universal, corrected=True))
            results[f"universal={universal}, lr"] = _third_step(
                _loaded(LR / 2, source, universal, corrected=True)
            )
    torch.distributed.destroy_process_group()
    return results


def _engine(lr: float) -> Any:
    import deepspeed

    torch.manual_seed(0)
    model = torch.nn.Sequential(*(torch.nn.Linear(4, 4, bias=False) for _ in range(3)))
    config = {
        "train_micro_batch_size_per_gpu": 1,
        "zero_optimization": {"stage": 3, "sub_group_size": 16},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }
    return deepspeed.initialize(
        model=model, optimizer=_optimizer(list(model.parameters()), lr), config=config
    )[0]


def _update(engine: Any) -> None:
    engine.backward(engine(torch.linspace(0.5, 2, 4)[None]).square().sum())
    engine.step()


def _loaded(lr: float, directory: Path, universal: bool, *, corrected: bool) -> Any:
    engine = _engine(lr)
    engine._config.load_universal_checkpoint = universal
    with correct_loaded_state(engine.optimizer.optimizer) if corrected else nullcontext():
        assert engine.load_checkpoint(str(directory), tag="zero")[0] is not None
    return engine


def _third_step(engine: Any) -> dict[str, Any]:
    from deepspeed.runtime.zero import GatheredParameters

    _update(engine)
    steps = [float(state["step"]) for state in engine.optimizer.optimizer.state.values()]
    weights = list(engine.module.parameters())
    with GatheredParameters(weights):
        values = [weight.detach().tolist() for weight in weights]
    return {"steps": steps, "lr": engine.get_lr()[0], "weights": values}


@pytest.mark.parametrize("universal", [False, True])
def test_a_corrected_optimizer_continues_exactly(under_deepspeed: dict[str, Any], universal: bool) -> None:
    """Bit for bit, for every sub-group."""
    assert under_deepspeed["uninterrupted"]["steps"] == [3.0, 3.0, 3.0]
    assert under_deepspeed[f"universal={universal}"] == under_deepspeed["uninterrupted"]


@pytest.mark.parametrize("universal", [False, True])
def test_a_changed_learning_rate_is_used(under_deepspeed: dict[str, Any], universal: bool) -> None:
    changed = under_deepspeed[f"universal={universal}, lr"]
    assert changed["lr"] == LR / 2
    assert changed["steps"] == [3.0, 3.0, 3.0]
    assert changed["weights"] != under_deepspeed["uninterrupted"]["weights"]


def test_the_universal_loader_still_needs_the_correction(under_deepspeed: dict[str, Any]) -> None:
    """2 + 3 steps: if DeepSpeed no longer shares the step count, the correction can be removed."""
    assert under_deepspeed["universal=True, bare"]["steps"] == [5.0, 5.0, 5.0]
