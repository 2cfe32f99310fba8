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

from benchmarks.vllm_engines import CPU_OPTIONS
from tests.fakes import make_config
from tests.launch import ROOT
from tests.vllm.conftest import MAX_PROMPT, MAX_TOKENS
from tests.vllm.test_sampling import KEY, PROMPTS
from vlm_uec.policy.forward import Policy
from vlm_uec.policy.load import banned_ids, load_model
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


def test_in_bf16_log_probs_agree_to_a_twentieth_of_a_nat_on_average(
    vllm_python: Path, wide: Path, tmp_path: Path
) -> None:
    """A bf16 number has three digits, and two programs that sum in another order round them apart."""
    config = make_config(
        "rollout.engine=vllm",
        f"vllm.python={vllm_python}",
        f"vllm.options={CPU_OPTIONS}",
        f"model.path={wide}",
        f"data.max_prompt_tokens={MAX_PROMPT}",
        f"rollout.max_tokens={MAX_TOKENS}",
        "model.precision=bf16",
    )
    model = load_model(str(wide), "bf16", checkpointing=False)
    policy = Policy(model, banned_ids(512, AutoTokenizer.from_pretrained(wide))).eval()
    host = VllmHost(config)
    try:
        host.open(tmp_path, lambda: None)
        engine = VllmEngine(policy, frozenset({499}), host.address, room=1024, patience=120.0)
        requests = [Request(prompt, range(16), Sampling(1.0, 1.0, 64)) for prompt in PROMPTS]
        groups = engine.generate(requests, KEY, lambda progress: None)
    finally:
        host.close()
    gaps = torch.cat([r.mismatch for group in groups for r in group.responses]).abs()  # type: ignore[misc]
    print(f"bf16: {len(gaps)} tokens, mean {gaps.mean():.3g}, max {gaps.max():.3g}")
    assert 0 < gaps.mean() < 0.05
