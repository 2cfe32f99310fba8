"""The example with real weights: the script with the bundled model, and, where VLM_UEC_REAL_MODEL names the
directory of a Qwen2.5 text model, its weights loaded, trained, exported and loaded again."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.lib.launching import free_port
from examples.word_problems import make_splits
from tests.support.launch import BUNDLED_MODEL, execute, launch, metrics

MODEL = os.environ.get("VLM_UEC_REAL_MODEL", "")
pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]


def test_the_script_ends_with_a_report_and_a_comparison(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = f"LAUNCH=deepspeed --log_level error --num_accelerators 2 --master_port {free_port()}"
    variables = [f"MODEL={BUNDLED_MODEL}", f"RUN={run}", launcher]
    settings = ["train.steps=1", "train.eval_every=0"]
    done = execute(["env", *variables, "examples/real_weights.sh", *settings])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    assert "120 problems of test; baseline: run-before" in done.stdout
    assert len(metrics(run)) == 1
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "run-before" in page and "run-after" in page


@pytest.mark.skipif(not MODEL, reason="needs VLM_UEC_REAL_MODEL, the directory of a Qwen2.5 text model")
def test_two_steps_export_a_model_that_loads(tmp_path: Path) -> None:
    for name, split in make_splits({"train": 6, "validation": 2}, seed=1).items():
        split.to_parquet(tmp_path / "data" / f"{name}.parquet")
    settings = (
        *("train.steps=2", "train.eval_every=0", "algorithm=grpo", "optim.minibatch=2"),
        *("rollout.prompts=2", "rollout.n=4", "rollout.max_tokens=12"),
        # Mixed groups, so that there are updates.
        "reward.function=tests/support/plugins/mixed_reward.py:reward",
    )
    paths = (f"model.path={MODEL}", f"data.path={tmp_path}/data", f"train.run_dir={tmp_path}/run")
    launch("train.py", "--config", "examples/real_weights.yaml", *paths, *settings, timeout_s=1200)
    rows = metrics(tmp_path / "run")
    assert [row["step"] for row in rows] == [1, 2]
    assert any(math.isfinite(row.get("grad_norm", math.nan)) for row in rows)

    base = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).state_dict()
    trained = AutoModelForCausalLM.from_pretrained(
        tmp_path / "run" / "export", dtype=torch.float32
    ).state_dict()
    assert base.keys() == trained.keys()
    changed = {name for name, value in base.items() if not torch.equal(value, trained[name])}
    assert changed and all(".layers." in name for name in changed)
    text = "How many degrees? \\boxed{42}"
    tokenizers = [AutoTokenizer.from_pretrained(path) for path in (MODEL, tmp_path / "run" / "export")]
    assert tokenizers[0](text)["input_ids"] == tokenizers[1](text)["input_ids"]
