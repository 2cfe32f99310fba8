"""A step's sample file: complete groups, as many as fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakes import make_trajectory
from vlm_uec.collector import Experience
from vlm_uec.report.runs import read_run
from vlm_uec.report.sample_groups import select_samples
from vlm_uec.telemetry.samples import sample_rows
from vlm_uec.telemetry.writers import RunWriter
from vlm_uec.trainer import Retained, StepOutcome, Update
from vlm_uec.types import Source, Trajectory


def rows_of(
    regular: Sequence[Trajectory] = (),
    explored: Sequence[Trajectory] = (),
    replayed: Sequence[Trajectory] = (),
) -> list[dict[str, Any]]:
    experience = Experience((), tuple(regular), tuple(explored))
    outcome = StepOutcome(experience, Retained((), 0, 0, 0), Update(), Update(tuple(replayed)))
    return list(sample_rows(outcome, lambda response: f"{response.problem_id} {response.index}"))


def groups(problems: int, responses: int, source: Source = "regular") -> list[Trajectory]:
    return [
        make_trajectory(f"p{problem}", index, source=source)
        for problem in range(problems)
        for index in range(responses)
    ]


@pytest.mark.parametrize(
    ("problems", "responses", "written"),
    [
        (14, 5, 12),  # 12 are 60 responses, 13 would be 65
        (4, 20, 3),  # 60 and 80
        (9, 8, 8),  # 64 just fit
        (70, 1, 64),
        (2, 80, 1),  # above the limit, but at least one is written
        (3, 4, 3),
    ],
)
def test_all_or_no_responses_of_a_problem_are_written(problems: int, responses: int, written: int) -> None:
    for rows in (
        rows_of(regular=groups(problems, responses)),
        rows_of(explored=groups(problems, responses, "exploration")),
    ):
        assert Counter(row["problem_id"] for row in rows) == {f"p{n}": responses for n in range(written)}
        assert [row["response"] for row in rows[:responses]] == [f"p0 {n}" for n in range(responses)]


def test_each_source_has_its_own_limit() -> None:
    rows = rows_of(groups(9, 8), groups(9, 16, "exploration"), groups(9, 1))
    assert Counter(row["source"] for row in rows) == {"regular": 64, "exploration": 64, "replay": 9}


def test_a_replayed_problem_from_two_steps_is_one_group() -> None:
    """66 responses: with two of `twice`, first and last, 62 of the 64 others fit."""
    twice = [make_trajectory("twice", 0, step=step) for step in (1, 9)]
    rows = rows_of(replayed=[twice[0], *groups(64, 1), twice[1]])
    assert [(row["problem_id"], row["sampled_at"]) for row in rows[:2]] == [("twice", 1), ("twice", 9)]
    assert [row["problem_id"] for row in rows[2:]] == [f"p{number}" for number in range(62)]


def test_a_mixed_group_is_not_cut(tmp_path: Path) -> None:
    """If single rows were counted, the 13th of these groups of 5 would be cut after its 4th response."""
    trajectories = [
        replace(t, reward=replace(t.reward, accuracy=float(t.response.index == 4))) for t in groups(14, 5)
    ]
    with RunWriter(tmp_path, None) as writer:
        writer.metrics(1, {})
        writer.samples(1, rows_of(trajectories))
    shown = select_samples([read_run(tmp_path, "run")]).groups
    assert [(group.outcome, len(group.rows)) for group in shown] == [("mixed", 5)] * 12
