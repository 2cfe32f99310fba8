"""Saves and loads trajectories as safetensors and JSON, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from vlm_uec.io.bounded_json import read_json
from vlm_uec.types import Response, Reward, ScoredTrajectory, Trajectory

MAX_ROWS_BYTES = 1 << 30  # about 300 bytes per trajectory
_RESPONSE_TENSORS = ("tokens", "behaviour_logprobs", "policy_logprobs", "entropy", "kept_mass")


def save_trajectories(stem: Path, trajectories: Sequence[Trajectory]) -> None:
    """Writes `stem`.json and `stem`.safetensors."""
    tensors = {
        name: torch.cat([getattr(t.response, name) for t in trajectories] or [torch.zeros(0)])
        for name in _RESPONSE_TENSORS
    }
    save_file(tensors, stem.with_suffix(".safetensors"))
    stem.with_suffix(".json").write_text(json.dumps([_row(t) for t in trajectories]), encoding="utf-8")


def load_trajectories(stem: Path) -> list[Trajectory]:
    """Reads what `save_trajectories` wrote."""
    rows = read_json(stem.with_suffix(".json"), MAX_ROWS_BYTES)
    tensors = load_file(stem.with_suffix(".safetensors"))
    lengths = [row["length"] for row in rows]
    pieces = {name: tensors[name].split(lengths) if lengths else () for name in _RESPONSE_TENSORS}
    return [
        _trajectory(row, {name: pieces[name][index].clone() for name in _RESPONSE_TENSORS})
        for index, row in enumerate(rows)
    ]


def save_scored(stem: Path, scored: Sequence[ScoredTrajectory]) -> None:
    """Writes trajectories as `save_trajectories`, and their log-probs to `stem`-scores.safetensors."""
    save_trajectories(stem, [item.trajectory for item in scored])
    tensors = {"old": torch.cat([item.old_logprobs for item in scored] or [torch.zeros(0)])}
    references = [item.reference_logprobs for item in scored if item.reference_logprobs is not None]
    if len(references) not in (0, len(scored)):
        raise ValueError(
            f"{len(references)} of {len(scored)} trajectories have reference log-probs: must be all or none"
        )
    if references:
        tensors["reference"] = torch.cat(references)
    save_file(tensors, _scores_path(stem))


def load_scored(stem: Path) -> list[ScoredTrajectory]:
    """Reads what `save_scored` wrote."""
    trajectories = load_trajectories(stem)
    tensors = load_file(_scores_path(stem))
    lengths = [len(trajectory.response.tokens) for trajectory in trajectories]
    if not lengths:
        return []
    old = tensors["old"].split(lengths)
    reference = tensors["reference"].split(lengths) if "reference" in tensors else [None] * len(lengths)
    return [
        ScoredTrajectory(trajectory, old[index].clone(), _copy(reference[index]))
        for index, trajectory in enumerate(trajectories)
    ]


def _scores_path(stem: Path) -> Path:
    return stem.with_name(stem.name + "-scores.safetensors")


def _copy(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.clone()


def _row(trajectory: Trajectory) -> dict[str, Any]:
    response = trajectory.response
    return {
        "problem_id": response.problem_id,
        "index": response.index,
        "source": response.source,
        "truncated": response.truncated,
        "length": len(response.tokens),
        "reward": asdict(trajectory.reward),
        "advantage": trajectory.advantage,
        "step": trajectory.step,
    }


def _trajectory(row: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Trajectory:
    response = Response(
        problem_id=row["problem_id"],
        index=row["index"],
        source=row["source"],
        truncated=row["truncated"],
        **tensors,
    )
    return Trajectory(response, Reward(**row["reward"]), row["advantage"], row["step"])
