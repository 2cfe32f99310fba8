"""Effects of vLLM's engine arguments; each test starts its own vLLM."""

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
from tests.support.tiny import mismatch
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
    completed = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr[-3000:]
    result: dict[str, Any] = json.loads(completed.stdout.strip().splitlines()[-1])
    return result


def test_a_groups_prompt_is_read_once(probe: dict[str, Any]) -> None:
    """Except its last, incomplete block, which vLLM does not share."""
    block = CPU_OPTIONS["block_size"]
    assert probe["prompt"] == 101
    assert probe["cached"] == probe["prompt"] // block * block


def test_weights_reach_a_model_split_over_two_workers(
    probe: dict[str, Any], vllm_python: Path, wide: Path
) -> None:
    split = _probe(vllm_python, wide, tensor_parallel_size=2, distributed_executor_backend="mp")
    assert split["tokens"] == probe["tokens"]
    for one, two in zip(probe["logprobs"], split["logprobs"], strict=True):
        assert one == pytest.approx(two, abs=1e-4)


def _mismatches(python: Path, model: Path, run_dir: Path, precision: str, count: int) -> torch.Tensor:
    """|log ratio| between a new vLLM and the policy, of every sampled token."""
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
        engine = VllmEngine(policy, frozenset({499}), host.address, max_positions=1024, stall_timeout=120.0)
        requests = [Request(prompt, range(count), Sampling(1.0, 1.0, 64)) for prompt in prompts]
        groups = engine.generate(requests, KEY, lambda progress: None)
    finally:
        host.close()
    mismatches = torch.cat([mismatch(response) for group in groups for response in group.responses])
    print(f"{precision}: {len(mismatches)} tokens, mean {mismatches.mean():.3g}, max {mismatches.max():.3g}")
    return mismatches


def test_in_bf16_log_probs_agree_to_a_twentieth_of_a_nat_on_average(
    vllm_python: Path, wide: Path, tmp_path: Path
) -> None:
    """bf16 has three digits: programs that sum in different orders get different results."""
    mismatches = _mismatches(vllm_python, wide, tmp_path, "bf16", 16)
    assert 0 < mismatches.mean() < 0.05


def test_a_text_only_policy_is_served(vllm_python: Path, tmp_path: Path) -> None:
    model = write_text_model(tmp_path / "model", hidden=128)
    mismatches = _mismatches(vllm_python, model, tmp_path, "fp32", 16)
    assert len(mismatches) > 500
    assert mismatches.max() < TOLERANCE
