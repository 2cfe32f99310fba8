"""Responses of Qwen2.5-VL-7B to Geometry3K with their published scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def recorded_rows(data: Path) -> list[dict[str, Any]]:
    """Rows with a known problem: `row`, `id`, `answer`, `response`, `score` and `right`.

    The answer is worth 0.9 of the recorded score.
    """
    responses = recorded_responses(data)
    return [
        {
            "row": known["row"],
            "id": known["id"],
            "answer": known["answer"],
            "response": responses[known["row"]]["response"],
            "score": responses[known["row"]]["score"],
            "right": responses[known["row"]]["score"] > 0.5,
        }
        for known in json_lines(_outputs(data) / "row_to_id.jsonl")
    ]


def recorded_responses(data: Path) -> dict[int, dict[str, Any]]:
    """All responses by row, with `response` and `score`; the problem of most is known (`recorded_rows`)."""
    return {row["row"]: row for row in json_lines(_outputs(data) / "qwen2.5-vl-7b_test_vllm.jsonl")}


def _outputs(data: Path) -> Path:
    return data / "geometry3k" / "model_outputs"


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
