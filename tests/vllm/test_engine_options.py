"""What vLLM's engine arguments may change, and what they may not: each test starts a vLLM of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from benchmarks.lib.launching import ROOT
from benchmarks.lib.vllm_cpu import CPU_OPTIONS
from tests.support.fakes import make_config
from tests.support.tiny_text import write_text_model
from tests.vllm.conftest import MAX_PROMPT, MAX_TOKENS
from tests.vllm.test_sampling import KEY, PROMPTS, TOLERANCE
from vlm_uec.model.load import banned_ids, load_model
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Request, Sampling
from vlm_uec.rollout.vllm.engine import VllmEngine
from vlm_uec.rollout.vllm.host import VllmHost


@pytest.fixture(scope="module")
def probe(vllm_python: Path, wide: Path) -> dict[str, Any]:
    return _probe(vllm_python, wide)


def _probe(python: Path, model: Path, **options: int | str) -> dict[str, Any]:
    command = [str(python), "tests/vllm/group_probe.py", str(model), json.dumps({**CPU_OPTIONS, **options})]
    workers = "|".join(map(str, range(int(options.get("tensor_parallel_size", 1)))))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VLLM_CPU_OMP_THREADS_BIND": workers}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def test_a_groups_prompt_is_read_once(probe: dict[str, Any]) -> None:
    """All but its last, unfinished block, for which vLLM shares nothing."""
    block = CPU_OPTIONS["block_size"]
    assert probe["prompt"] == 101
    assert probe["cached"] == probe["prompt"] // block * block


def test_weights_reach_a_model_cut_into_two(probe: dict[str, Any], vllm_python: Path, wide: Path) -> None:
    cut = _probe(vllm_python, wide, tensor_parallel_size=2, distributed_executor_backend="mp")
    assert cut["tokens"] == probe["tokens"]
    for ours, theirs in zip(probe["logprobs"], cut["logprobs"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def _gaps(python: Path, model: Path, run_dir: Path, precision: str, count: int) -> torch.Tensor:
    """|log ratio| of every token that a vLLM of its own samples, and what the policy makes of it."""
    config = make_config(
        "rollout.engine=vllm",
        f"vllm.python={python}",
        f"vllm.options={CPU_OPTIONS}",
        f"model.path={model}",
        f"data.max_prompt_tokens={MAX_PROMPT}",
        f"rollout.max_tokens={MAX_TOKENS}",
        f"model.precision={precision}",
    )
    loaded = load_model(str(model), precision, checkpointing=False)
    policy = Policy(loaded, banned_ids(512, AutoTokenizer.from_pretrained(model))).eval()
    prompts = PROMPTS if policy.tower is not None else PROMPTS[-1:]
    host = VllmHost(config)
    try:
        host.open(run_dir, lambda: None)
        engine = VllmEngine(policy, frozenset({499}), host.address, room=1024, patience=120.0)
        requests = [Request(prompt, range(count), Sampling(1.0, 1.0, 64)) for prompt in prompts]
        groups = engine.generate(requests, KEY, lambda progress: None)
    finally:
        host.close()
    gaps = torch.cat([r.mismatch for group in groups for r in group.responses]).abs()  # type: ignore[misc]
    print(f"{precision}: {len(gaps)} tokens, mean {gaps.mean():.3g}, max {gaps.max():.3g}")
    return gaps


def test_in_bf16_log_probs_agree_to_a_twentieth_of_a_nat_on_average(
    vllm_python: Path, wide: Path, tmp_path: Path
) -> None:
    """A bf16 number has three digits, and two programs that sum in another order round them apart."""
    gaps = _gaps(vllm_python, wide, tmp_path, "bf16", 16)
    assert 0 < gaps.mean() < 0.05


def test_a_text_only_policy_is_served(vllm_python: Path, tmp_path: Path) -> None:
    gaps = _gaps(vllm_python, write_text_model(tmp_path / "model", hidden=128), tmp_path, "fp32", 16)
    assert len(gaps) > 500
    assert gaps.max() < TOLERANCE
