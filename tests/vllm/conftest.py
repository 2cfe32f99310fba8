"""Tests with a real vLLM: VLM_UEC_VLLM_PYTHON is a python that has it (`make test-vllm`); else skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.lib.vllm_cpu import CPU_ENVIRONMENT, CPU_OPTIONS
from benchmarks.lib.wide_model import BUNDLE, widen
from tests.support.fakes import make_config
from vlm_uec.rollout.vllm.host import LOG, VllmHost

MAX_PROMPT, MAX_TOKENS = 160, 96


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    python = os.environ.get("VLM_UEC_VLLM_PYTHON")
    if not python:
        pytest.skip("runs under `make test-vllm`")
    for name, value in CPU_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    return Path(python).absolute()


@pytest.fixture(scope="session")
def wide(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with heads of a size that vLLM's attention for CPUs supports."""
    return widen(BUNDLE, tmp_path_factory.mktemp("wide"))


@pytest.fixture(scope="session")
def host(vllm_python: Path, wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmHost]:
    """One server for all tests."""
    config = make_config(
        "rollout.engine=vllm",
        f"vllm.python={vllm_python}",
        f"vllm.options={CPU_OPTIONS}",
        f"model.path={wide}",
        f"data.max_prompt_tokens={MAX_PROMPT}",
        f"rollout.max_tokens={MAX_TOKENS}",
    )
    host = VllmHost(config)
    host.check()
    run_dir = tmp_path_factory.mktemp("server")
    host.open(run_dir, lambda: None)
    yield host
    host.close()
    print((run_dir / LOG).read_text(encoding="utf-8", errors="replace")[-3000:])
