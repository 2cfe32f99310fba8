"""Selection of the samples that a report shows, their pictures, and the filters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.test_report import report
from tests.support.written_runs import sample, sample_bytes, write_problems, write_run, write_samples
from vlm_uec.data.rows import RejectedRow
from vlm_uec.report.page import write_report
from vlm_uec.report.problem_lookup import find_problems
from vlm_uec.report.runs import read_run
from vlm_uec.report.sample_groups import (
    MAX_FILE_BYTES,
    MAX_GROUPS,
    MAX_RESPONSES,
    MAX_STEPS,
    evenly_spaced,
    select_samples,
)
from vlm_uec.types import Problem


def cards(document: str) -> list[str]:
    return re.findall('<li class="filtered.*?</li>', document, re.DOTALL)


def chosen(run: Path) -> Any:
    return select_samples([read_run(run, "run")])


def test_responses_are_shown_with_their_picture_by_descending_advantage(tmp_path: Path) -> None:
    data = write_problems(tmp_path / "data", ["a", "b"])
    rows = [
        sample("a", advantage=-0.5, response="low", reason="not equal"),
        sample("a", advantage=1.5, response="high"),
    ]
    run = write_run(tmp_path / "run", range(1, 3), {2: rows}, f"data.path={data}")
    (card,) = cards(report(run))
    assert "data:image/png;base64," in card and "What is a?" in card and "truth </" not in card
    assert re.findall("advantage (.*?)</span>", card) == ["+1.50", "-0.50"]
    assert re.findall("<pre>(.*?)</pre>", card) == ["high", "low"]
    assert "not equal" in card and "step 2" in card


def test_replayed_responses_show_their_sampling_step(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run", [9], {9: [sample("a", "replay", sampled_at=4), sample("b", sampled_at=9)]}
    )
    replayed, fresh = sorted(cards(report(run)), key=lambda card: "replay" not in card)
    assert "sampled at step 4" in replayed and "sampled at" not in fresh


def test_identical_responses_are_shown_once_with_their_count(tmp_path: Path) -> None:
    rows = [sample("a", index=number, response="same" if number < 5 else "other") for number in range(6)]
    run = write_run(tmp_path / "run", [1], {1: rows})
    (card,) = cards(report(run))
    assert re.findall("<pre>(.*?)</pre>", card) == ["same", "other"]
    assert "× 5" in card and "6 responses" in card


def test_selection_of_many_responses_includes_best_and_worst(tmp_path: Path) -> None:
    rows = [sample("a", response=str(number), advantage=float(number)) for number in range(50)]
    (group,) = chosen(write_run(tmp_path / "run", [1], {1: rows})).groups
    advantages = [row["advantage"] for row, _ in group.distinct_responses]
    assert (
        len(advantages) == MAX_RESPONSES
        and advantages[0] == 49
        and advantages[-1] == 0
        and advantages == sorted(advantages, reverse=True)
    )


def test_steps_of_a_long_run_are_evenly_spaced(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [1])
    write_samples(run, {step: sample_bytes([sample("a")]) for step in range(1, 501)})
    steps = [group.step for group in chosen(run).groups]
    assert len(steps) == MAX_STEPS and steps[0] == 500 and steps[-1] == 1
    gaps = {a - b for a, b in pairwise(steps)}
    assert max(gaps) - min(gaps) <= 1


def test_every_source_is_represented(tmp_path: Path) -> None:
    """One step has a thousand problems, the other a single explored problem."""
    many = [sample(str(number)) for number in range(1000)]
    run = write_run(tmp_path / "run", [1], {1: many, 2: [sample("x", "exploration", response="hot")]})
    shown = chosen(run)
    assert len(shown.groups) == MAX_GROUPS
    assert [group.source for group in shown.groups].count("exploration") == 1
    assert f"the first {MAX_GROUPS - 1} problems per source of each step" in shown.rule


def test_each_of_several_runs_is_shown_from_first_to_last_step(tmp_path: Path) -> None:
    """A long run gets the share of the 24 steps that a short run does not need."""
    steps = {"short": range(1, 4), "long": range(10, 5001, 10)}
    runs = []
    for name, run_steps in steps.items():
        path = write_run(tmp_path / name, [1])
        write_samples(path, {step: sample_bytes([sample("a")]) for step in run_steps})
        runs.append(read_run(path, name))
    shown = select_samples(runs)
    assert [group.step for group in shown.groups if group.run == 0] == [3, 2, 1]
    long_steps = [group.step for group in shown.groups if group.run == 1]
    assert len(long_steps) == 21 and long_steps[0] == 5000 and long_steps[-1] == 10
    assert [group.step for group in shown.groups] == sorted([*long_steps, 1, 2, 3], reverse=True)
    assert shown.rule.startswith("24 of 503 steps of all runs, all problems of each step")


def test_each_of_many_runs_has_four_steps_with_one_problem_each(tmp_path: Path) -> None:
    """The limit of 24 steps is less than one for each of 32 runs. Steps 1, 4, 7 and 10 of 10 are shown."""
    path = write_run(tmp_path / "run", [1])
    rows = [sample(problem, source) for problem in "ab" for source in ("regular", "exploration", "replay")]
    write_samples(path, {step: sample_bytes(rows) for step in range(1, 11)})
    shown = select_samples([read_run(path, "run")] * 32)
    for run in range(32):
        of_run = [group for group in shown.groups if group.run == run]
        assert [group.step for group in of_run if group.source == "regular"] == [10, 7, 4, 1]
        assert {group.problem_id for group in of_run} == {"a"} and len(of_run) == 4 * 3
    assert "the first 1 problems per source of each step" in shown.rule


@given(st.integers(0, 200), st.integers(2, 40))
def test_evenly_spaced_indices_are_distinct_and_include_both_ends(length: int, count: int) -> None:
    indices = evenly_spaced(length, count)
    assert indices == sorted(set(indices)) and len(indices) == min(length, count)
    if length:
        assert (indices[0], indices[-1]) == (0, length - 1)


@pytest.mark.parametrize(
    ("accuracies", "outcome"),
    [([1.0, 1.0], "all right"), ([0.0], "all wrong"), ([0.0, 1.0], "mixed"), ([None], "all wrong")],
)
def test_group_outcome_depends_on_accuracy(
    tmp_path: Path, accuracies: list[float | None], outcome: str
) -> None:
    rows = [sample("a", **{"reward/accuracy": accuracy}) for accuracy in accuracies]
    (group,) = chosen(write_run(tmp_path / "run", [1], {1: rows})).groups
    assert group.outcome == outcome


# --- filters -----------------------------------------------------------------------------------------------


def test_filters_show_the_number_of_problems_they_keep(tmp_path: Path) -> None:
    rows = [
        sample("a"),
        sample("b", advantage=0.0, **{"reward/accuracy": 0.0}),
        sample("b", "exploration", response="x"),
        sample("b", "exploration", response="y", **{"reward/accuracy": 0.0}),
    ]
    one = write_run(tmp_path / "one", [1, 2], {1: rows, 2: rows[:1]})
    two = write_run(tmp_path / "two", [1], {1: rows[:1]}, seed=2)
    document = report(one, two, out=tmp_path / "p.html")
    found = {
        legend: dict(re.findall(r"/>([\w ]+)<b>(\d+)</b>", inner))
        for legend, inner in re.findall("<legend>(.*?)</legend>(.*?)</fieldset>", document)
    }
    assert found["run"] == {"all": "5", "one": "4", "two": "1"}
    assert found["step"] == {"all": "5", "2": "1", "1": "4"}
    assert found["source"] == {"all": "5", "regular": "4", "exploration": "1"}
    assert found["responses"] == {"all": "5", "all wrong": "1", "mixed": "1", "all right": "3"}


def test_cards_and_responses_have_the_class_of_their_advantage_sign(tmp_path: Path) -> None:
    rows = [sample("a", advantage=value, response=str(value)) for value in (2.0, 0.0, -1.0)]
    (card,) = cards(report(write_run(tmp_path / "run", [1], {1: rows})))
    assert card.startswith('<li class="filtered') and "sign-1 sign-2 sign-3" in card.partition(">")[0]
    assert re.findall(r'class="response (sign-\d)"', card) == ["sign-1", "sign-2", "sign-3"]


# --- problem lookup and missing data -----------------------------------------------------------------------


def test_problems_of_a_mixture_are_found_by_their_prefixed_ids(tmp_path: Path) -> None:
    paths = [write_problems(tmp_path / name, ["p"]) for name in ("first", "second")]
    mixture = "data.mixture={" + ", ".join(f"{path}: 1.0" for path in paths) + "}"
    wanted = f"{paths[1]}:p"
    run = write_run(
        tmp_path / "run", [1], {1: [sample(wanted)]}, "data.path=null", mixture, "train.eval_every=0"
    )
    written = write_report(run)
    assert not written.notes and "What is p?" in cards(written.path.read_text())[0]


@pytest.mark.parametrize(
    ("problem_id", "note"),
    [
        ("there", ""),
        ("gone", "question and picture of 1 of 1 problems are missing: they are no longer in the data set"),
    ],
)
def test_problems_removed_from_the_data_give_a_note(tmp_path: Path, problem_id: str, note: str) -> None:
    data = write_problems(tmp_path / "data", ["there"])
    run = write_run(tmp_path / "run", [1], {1: [sample(problem_id)]}, f"data.path={data}")
    written = write_report(run)
    assert (f"run: {note}" in written.notes) == bool(note)
    assert problem_id in cards(written.path.read_text())[0]


def test_unavailable_data_gives_one_note_on_the_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [1], {1: [sample("a"), sample("b")]})
    written = write_report(run)
    (note,) = written.notes
    assert note.startswith("run: question and picture of 2 of 2 problems are missing: ")
    assert note.endswith("no such directory, and not a valid Hub id") and note in written.path.read_text()


def test_reading_a_large_data_set_times_out(tmp_path: Path) -> None:
    data = write_problems(tmp_path / "data", [str(number) for number in range(9)])
    run = read_run(write_run(tmp_path / "run", [1], None, f"data.path={data}"), "run")
    times = iter(range(0, 1000, 20))
    found = find_problems([run], [{"0", "1", "8"}], lambda problem: problem.id, clock=lambda: next(times))
    assert set(found.by_run[0]) == {"0", "1"}
    assert "1 of 3 problems are missing: reading was stopped after 60 s" in found.notes[0]


def test_runs_on_the_same_data_share_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vlm_uec.data import mixture

    data = write_problems(tmp_path / "data", ["a", "b"])
    read: list[str] = []
    stream = mixture.stream_problems

    def recording_stream(path: str, split: str) -> Iterator[Problem | RejectedRow]:
        read.append(path)
        return stream(path, split)

    monkeypatch.setattr(mixture, "stream_problems", recording_stream)
    runs = [write_run(tmp_path / name, [1], {1: [sample(name)]}, f"data.path={data}") for name in ("a", "b")]
    document = report(*runs, out=tmp_path / "p.html")
    assert read == [str(data)] and "What is a?" in document and "What is b?" in document


@pytest.mark.parametrize("content", [b"broken\n{}\n", b"[]\n"])
def test_unreadable_sample_file_is_skipped_with_a_note(tmp_path: Path, content: bytes) -> None:
    run = write_run(tmp_path / "run", [1])
    write_samples(run, {1: sample_bytes([sample("a")]), 2: content})
    shown = chosen(run)
    assert [group.step for group in shown.groups] == [1]
    (note,) = shown.notes
    assert "step_000002.jsonl, line 1" in note and note.endswith("the samples of this step are left out")


def test_only_the_beginning_of_a_huge_sample_file_is_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [1])
    write_samples(run, {1: sample_bytes([sample("a")]) + b" " * MAX_FILE_BYTES})
    shown = chosen(run)
    assert [group.problem_id for group in shown.groups] == ["a"]
    assert "over 8 MiB, only its first 1 responses are read" in shown.notes[0]


def test_possibly_incomplete_last_group_of_a_huge_file_is_skipped(tmp_path: Path) -> None:
    """The last complete row is the second exploration response to b; a third was being written."""
    rows = [sample("a"), sample("b"), sample("b", "exploration"), sample("b", "exploration", index=1)]
    run = write_run(tmp_path / "run", [1])
    write_samples(run, {1: sample_bytes(rows) + b" " * MAX_FILE_BYTES})
    shown = chosen(run)
    assert [(group.source, group.problem_id) for group in shown.groups] == [
        ("regular", "a"),
        ("regular", "b"),
    ]
    assert "only its first 2 responses are read" in shown.notes[0]


def test_malformed_rows_are_shown_as_text(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [1])
    write_samples(
        run, {1: b'{}\n{"source": ["x"], "problem_id": {"a": 1}, "response": 5, "advantage": "9"}\n'}
    )
    document = report(run)
    assert len(cards(document)) == 2 and "<pre>5</pre>" in document and "no advantage" in document
