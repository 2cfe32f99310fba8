"""A run's files: always valid JSON; a resume removes what was written after the checkpoint."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.errors import UserError
from vlm_uec.io.strict_json import to_json
from vlm_uec.telemetry.writers import RunWriter, read_jsonl


def lines_of(run_dir: Path) -> list[dict[str, Any]]:
    def reject(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    text = (run_dir / "metrics.jsonl").read_text()
    return [json.loads(line, parse_constant=reject) for line in text.splitlines()]


def write_steps(run_dir: Path, resume_step: int | None, steps: range, value: float = 1.0) -> None:
    with RunWriter(run_dir, resume_step) as writer:
        for step in steps:
            writer.metrics(step, {"reward/accuracy": value})


def test_one_flushed_line_per_step(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", None) as writer:
        writer.metrics(1, {"lr": 1e-6, "step": 1.0})
        assert lines_of(tmp_path / "run") == [{"step": 1, "lr": 1e-6}]
    line = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert line.startswith('{"step": 1,')


def test_non_finite_values_become_null(tmp_path: Path) -> None:
    with RunWriter(tmp_path, None) as writer:
        writer.metrics(1, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.5})
    assert lines_of(tmp_path) == [{"step": 1, "a": None, "b": None, "c": None, "d": 0.5}]


def test_resume_cuts_lines_after_the_checkpoint(tmp_path: Path) -> None:
    write_steps(tmp_path, None, range(1, 6))
    write_steps(tmp_path, 3, range(4, 7), value=2.0)
    rows = lines_of(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["reward/accuracy"] for row in rows] == [1, 1, 1, 2, 2, 2]


def test_resume_from_the_start_cuts_everything(tmp_path: Path) -> None:
    write_steps(tmp_path, None, range(1, 3))
    write_steps(tmp_path, 0, range(1, 2))
    assert [row["step"] for row in lines_of(tmp_path)] == [1]


@pytest.mark.parametrize("incomplete", ['{"step": 3, "rew', "{", '{"step": 3}'])
def test_an_incomplete_last_line_is_dropped(tmp_path: Path, incomplete: str) -> None:
    write_steps(tmp_path, None, range(1, 3))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(incomplete)
    write_steps(tmp_path, 5, range(6, 7))
    assert [row["step"] for row in lines_of(tmp_path)] == [1, 2, 6]


def test_the_error_names_a_broken_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(UserError, match="line 2"):
        RunWriter(tmp_path, 2)
    assert "nonsense" in (tmp_path / "metrics.jsonl").read_text()


def test_a_new_run_does_not_append_to_an_earlier_one(tmp_path: Path) -> None:
    write_steps(tmp_path, None, range(1, 3))
    with pytest.raises(UserError, match="earlier run"):
        RunWriter(tmp_path, None)
    assert len(lines_of(tmp_path)) == 2


def test_samples_are_written_atomically(tmp_path: Path) -> None:
    with RunWriter(tmp_path, None) as writer:
        path = writer.samples(10, iter([{"problem_id": "a", "response": "√\n\ud800", "advantage": math.nan}]))

        def broken() -> Any:
            yield {"problem_id": "b"}
            raise RuntimeError("half way")

        with pytest.raises(RuntimeError):
            writer.samples(10, broken())
    assert path == tmp_path / "samples" / "step_000010.jsonl"
    assert read_jsonl(path) == [{"problem_id": "a", "response": "√\n?", "advantage": None}]


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.floats() | st.text() | st.lists(st.floats()) | st.integers()))
def test_every_row_is_one_line_of_valid_json(row: dict[str, Any]) -> None:
    line = to_json(row)
    assert "\n" not in line
    assert json.loads(line, parse_constant=pytest.fail).keys() == row.keys()
