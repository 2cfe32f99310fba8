"""The output of a short UEC-RL run on two ZeRO-3 ranks, with real and with synthetic diagrams."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.support.launch import TINY_PIXELS, geometry3k_run, metrics, model_copy, synthetic_run
from vlm_uec.config import load_config
from vlm_uec.data.dataset import load_problems
from vlm_uec.data.encode import PromptEncoder

pytestmark = pytest.mark.end_to_end

EVERY_STEP = {
    "step", "lr", "tokens_per_second", "memory/peak_gib",
    "reward/accuracy", "reward/format", "entropy/exact", "entropy/estimate",
    "response_tokens/mean", "response_tokens/max", "truncated_fraction",
    "uec/difficult_prompts", "uec/rescued_prompts", "uec/explored_responses",
    "uec/retained_regular", "uec/retained_exploration", "uec/dropped_overlong",
    "uec/pending", "uec/replay_size",
    "time/rollout", "time/exploration", "time/reward", "time/checkpoint", "time/step",
}  # fmt: skip
EVERY_UPDATE = {
    "loss/policy", "loss/kl", "kl/reference", "grad_norm",
    "clip_fraction/low", "clip_fraction/high", "ratio/mean", "ratio/max",
    "time/old", "time/reference", "time/update",
}  # fmt: skip
EVERY_REPLAY = {"covariance/replay", "uec/replay_age", "time/replay"}
B, G, EXPLORED, MAX_TOKENS, STEPS = 8, 3, 8, 16, 4

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module", params=["synthetic", "geometry3k"])
def run_dir(request: pytest.FixtureRequest) -> Path:
    return synthetic_run() if request.param == "synthetic" else geometry3k_run()


def test_rank_1_has_its_own_log(run_dir: Path) -> None:
    """It has the step lines that rank 0 prints on the console."""
    log = (run_dir / "logs" / "rank_1.log").read_text(encoding="utf-8")
    assert [f"step {step}/{STEPS}" in log for step in range(1, STEPS + 1)] == [True] * STEPS
    assert not (run_dir / "logs" / "rank_0.log").exists()


@pytest.fixture(scope="module")
def rows(run_dir: Path) -> Rows:
    return metrics(run_dir)


def _with(rows: Rows, name: str) -> Rows:
    return [row for row in rows if name in row]


def test_every_step_has_a_line_of_metrics(rows: Rows) -> None:
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))


def test_the_run_updates_and_replays(rows: Rows) -> None:
    assert sum(row["update/optimizer_steps"] for row in _with(rows, "update/optimizer_steps")) >= 3
    assert len(_with(rows, "uec/replay_age")) >= 1
    for row in _with(rows, "update/trajectories"):
        assert row["update/trajectories"] % (B * G) == 0


def test_difficult_prompts_are_explored_and_responses_retained(rows: Rows) -> None:
    for row in rows:
        assert row["uec/explored_responses"] == EXPLORED * row["uec/difficult_prompts"]
    assert sum(row["uec/explored_responses"] for row in rows) > 0
    assert sum(row["uec/retained_exploration"] for row in rows) > 0
    assert _with(rows, "covariance/exploration")


def test_every_documented_metric_is_logged(rows: Rows) -> None:
    for row in rows:
        assert row.keys() >= EVERY_STEP
    for row in _with(rows, "loss/policy"):
        assert row.keys() >= EVERY_UPDATE
        assert row.keys() & {"covariance/regular", "covariance/exploration"}
    for row in _with(rows, "uec/replay_age"):
        assert row.keys() >= EVERY_REPLAY


def test_metrics_of_skipped_phases_are_left_out(rows: Rows) -> None:
    for row in rows:
        if "update/trajectories" not in row:
            assert not row.keys() & (EVERY_UPDATE | {"covariance/regular", "covariance/exploration"})
        if "replay/trajectories" not in row:
            assert not row.keys() & EVERY_REPLAY


def test_metrics_are_finite_and_within_bounds(rows: Rows) -> None:
    for row in rows:
        assert all(math.isfinite(value) for value in row.values())
        for name in ("reward/accuracy", "reward/format", "truncated_fraction"):
            assert 0 <= row[name] <= 1
        assert 0 < row["entropy/exact"] < math.log(512)
        assert 1 <= row["response_tokens/mean"] <= row["response_tokens/max"] <= MAX_TOKENS
        assert 0 <= row["uec/rescued_prompts"] <= row["uec/difficult_prompts"] <= B
    for row in _with(rows, "loss/policy"):
        assert row["grad_norm"] > 0
        assert 0 < row["ratio/mean"] <= row["ratio/max"]


def test_no_retained_trajectory_is_lost(rows: Rows) -> None:
    pending = 0
    for row in rows:
        pending += row["uec/retained_regular"] + row["uec/retained_exploration"]
        pending -= row.get("update/trajectories", 0)
        assert row["uec/pending"] == pending < B * G


def test_phases_sum_to_the_step(rows: Rows) -> None:
    for row in rows:
        phases = [value for name, value in row.items() if name.startswith("time/") and name != "time/step"]
        assert sum(phases) == pytest.approx(row["time/step"], rel=1e-6)
        assert min(phases) >= 0
        assert row["time/other"] < 0.5 * row["time/step"]


def test_validation_runs_only_if_configured(run_dir: Path, rows: Rows) -> None:
    eval_every = load_config(run_dir / "config.yaml").train.eval_every
    expected = [STEPS] if eval_every else []
    assert [row["step"] for row in _with(rows, "eval/pass@1")] == expected
    assert [row["step"] for row in _with(rows, "eval/pass@2")] == expected


def test_the_last_checkpoints_are_kept_and_latest_names_the_newest(run_dir: Path) -> None:
    root = run_dir / "checkpoints"
    names = sorted(path.name for path in root.iterdir())
    keep = load_config(run_dir / "config.yaml").train.keep
    assert [name for name in names if name != "best"] == [
        "latest",
        *[f"step_{step:06d}" for step in range(1, STEPS + 1)][-keep:],
    ]
    assert (root / "latest").read_text(encoding="utf-8").strip() == "step_000004"
    assert len(list((root / "step_000004" / "zero").glob("*rank_*"))) >= 2


def test_the_config_loads_again(run_dir: Path) -> None:
    config = load_config(run_dir / "config.yaml")
    assert config.train.run_dir == str(run_dir)
    assert (config.rollout.prompts, config.rollout.n, config.exploration.n) == (B, G, EXPLORED)


def _samples(run_dir: Path, step: int) -> Rows:
    lines = (run_dir / "samples" / f"step_{step:06d}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _of(rows: Iterable[dict[str, Any]], source: str) -> Rows:
    return [row for row in rows if row["source"] == source]


def test_samples_agree_with_the_metrics(run_dir: Path, rows: Rows) -> None:
    """The cap per source is above the 24 regular responses of a step, so that rewards equal the metrics."""
    for row in rows:
        samples = _samples(run_dir, row["step"])
        regular, explored = _of(samples, "regular"), _of(samples, "exploration")
        assert len(regular) == B * G
        assert len(explored) == min(row["uec/explored_responses"], 64)
        assert bool(_of(samples, "replay")) == ("uec/replay_age" in row)
        accuracy = sum(sample["reward/accuracy"] for sample in regular) / len(regular)
        assert accuracy == pytest.approx(row["reward/accuracy"])
        assert {sample["index"] for sample in regular} == set(range(G))
        assert {sample["index"] for sample in explored} <= set(range(G, G + EXPLORED))
        answered = {sample["problem_id"] for sample in regular if sample["reward/accuracy"] > 0}
        assert not answered & {sample["problem_id"] for sample in explored}


def test_an_epoch_samples_every_problem_once(run_dir: Path) -> None:
    """24 problems, 8 a step: steps 1 to 3 are one epoch."""
    steps = [_of(_samples(run_dir, step), "regular") for step in (1, 2, 3)]
    ids = [{sample["problem_id"] for sample in samples} for samples in steps]
    assert [len(part) for part in ids] == [8, 8, 8]
    assert len(set.union(*ids)) == 24


def test_tensorboard_events_are_written(run_dir: Path) -> None:
    assert any(path.stat().st_size > 1000 for path in (run_dir / "tensorboard").iterdir())


def test_the_report_shows_every_picture_and_every_kept_checkpoint(run_dir: Path) -> None:
    document = (run_dir / "report.html").read_text(encoding="utf-8")
    cards = re.findall('<li class="filtered.*?</li>', document, re.DOTALL)
    assert len(cards) > B and all('src="data:image/' in card for card in cards)
    kept = sorted(path.name for path in (run_dir / "checkpoints").glob("step_*"))
    assert len(kept) >= 2 and re.findall(r"<td>(step_\d+)</td>", document) == kept


def _weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model.safetensors")


def _exported(run_dir: Path) -> Any:
    loaded: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        run_dir / "export", output_loading_info=True
    )
    model, info = loaded
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model


def test_the_export_loads_completely_with_tied_weights(run_dir: Path) -> None:
    model, start = _exported(run_dir), Qwen2_5_VLForConditionalGeneration.from_pretrained(model_copy())
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    assert model.config.to_dict().keys() == start.config.to_dict().keys()
    assert model.generation_config.eos_token_id == start.generation_config.eos_token_id


def test_training_changes_every_part_and_keeps_the_published_names(run_dir: Path) -> None:
    before, after = _weights(model_copy()), _weights(run_dir / "export")
    assert before.keys() == after.keys()
    for part in ("visual.", "model."):
        names = [name for name in before if name.startswith(part) and before[name].dim() > 1]
        assert names
        assert not any(torch.equal(before[name], after[name]) for name in names)


def test_the_export_generates(run_dir: Path) -> None:
    """With its own tokenizer and image processor, in transformers alone."""
    model, directory = _exported(run_dir), str(run_dir / "export")
    assert Qwen2VLImageProcessorPil.from_pretrained(directory).patch_size == 14
    assert len(AutoTokenizer.from_pretrained(directory)) == len(AutoTokenizer.from_pretrained(model_copy()))
    config = load_config(run_dir / "config.yaml")
    encoder = PromptEncoder.from_pretrained(
        directory, min_pixels=TINY_PIXELS, max_pixels=config.data.max_pixels, max_prompt_tokens=256
    )
    assert config.data.path is not None
    prompt = encoder(load_problems(config.data.path, "train").problems[0])
    ids = prompt.input_ids[None]
    generated = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=prompt.pixel_values,
        image_grid_thw=prompt.image_grid_thw,
        mm_token_type_ids=(ids == encoder.image_pad_id).int(),
        max_new_tokens=4,
        do_sample=False,
    )
    assert generated.shape[0] == 1
    assert prompt.length < generated.shape[1] <= prompt.length + 4
    assert torch.equal(generated[0, : prompt.length], prompt.input_ids)
