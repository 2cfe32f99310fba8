"""Responses of Qwen2.5-VL-7B to Geometry3K with their published scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def recorded_rows(data: Path) -> list[dict[str, Any]]:
    """Rows with `row`, `answer`, `response` and `right`. The answer is worth 0.9 of the recorded score."""
    outputs = data / "geometry3k" / "model_outputs"
    responses = {row["row"]: row for row in json_lines(outputs / "qwen2.5-vl-7b_test_vllm.jsonl")}
    return [
        {
            "row": known["row"],
            "answer": known["answer"],
            "response": responses[known["row"]]["response"],
            "right": responses[known["row"]]["score"] > 0.5,
        }
        for known in json_lines(outputs / "row_to_id.jsonl")
    ]


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
