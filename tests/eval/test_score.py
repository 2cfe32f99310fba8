"""Scoring of responses sampled by another program, and refused input."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.lib.launching import ROOT
from eval import score
from eval.compare import compare
from eval.samples import read_samples
from eval.store import SampleStore
from tests.support.launch import synthetic_data
from vlm_uec.data.dataset import load_problems
from vlm_uec.types import Problem

MATHVISTA = ROOT.parent / "shared" / "data" / "mathvista"

Run = Callable[..., int]
Rows = list[dict[str, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    def running(responses: Path, *options: str, out: str = "out", data: Path | None = None) -> int:
        given = ["--responses", str(responses), "--data", str(data or synthetic_data())]
        monkeypatch.setattr(sys, "argv", ["eval/score.py", *given, "--out", str(tmp_path / out), *options])
        return score.main()

    return running


def _responses(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _problems() -> list[Problem]:
    return load_problems(str(synthetic_data()), "test").problems


def _two_each(right: int) -> Rows:
    """Two responses to each problem. The first one is correct for the first `right` problems; all others are
    empty."""
    return [
        {
            "id": problem.id,
            "response": f"\\boxed{{{problem.answer}}}" if index == 0 and position < right else "",
        }
        for position, problem in enumerate(_problems())
        for index in range(2)
    ]


def test_output_is_that_of_an_evaluation(run: Run, tmp_path: Path) -> None:
    assert run(_responses(tmp_path / "r.jsonl", _two_each(right=3)), "--k", "1", "2") == 0
    out = tmp_path / "out"
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    scores = summary["scores"]["verify"]
    assert scores["pass@1"]["value"] == 3 / 8
    assert scores["pass@2"]["value"] == 3 / 4
    assert scores["unextracted"] == 5 / 8
    assert [sample.key for sample in read_samples(out / "samples.jsonl")] == [
        (problem.id, index) for problem in _problems() for index in range(2)
    ]
    assert (out / "index.html").is_file()
    assert summary["data"]["prepared"]["problems"] == 4
    assert "truncated" not in summary["responses"]


def test_strictness_is_a_setting_of_the_summary(run: Run, tmp_path: Path) -> None:
    """One box after the thinking, one inside it, and two sentences."""
    first, second, *rest = _problems()
    rows = [
        {"id": first.id, "response": f"\\boxed{{{first.answer}}}"},
        {"id": second.id, "response": f"<think>\\boxed{{{second.answer}}}</think>"},
        *({"id": problem.id, "response": f"The answer is {problem.answer}."} for problem in rest),
    ]
    path = _responses(tmp_path / "r.jsonl", rows)
    right = {}
    for thinking, statements in (("ignore", "accept"), ("accept", "accept"), ("accept", "boxed_only")):
        out = f"{thinking}-{statements}"
        assert run(path, "--thinking", thinking, "--statements", statements, out=out) == 0
        summary = json.loads((tmp_path / out / "summary.json").read_text(encoding="utf-8"))
        assert (summary["settings"]["thinking"], summary["settings"]["statements"]) == (thinking, statements)
        right[out] = summary["scores"]["verify"]["pass@1"]["value"]
    assert right == {"ignore-accept": 0.75, "accept-accept": 1.0, "accept-boxed_only": 0.5}
    pair = compare([tmp_path / "ignore-accept", tmp_path / "accept-boxed_only"], seed=1).pairs[0]
    assert pair.differing_settings == (
        "thinking accept, baseline ignore", "statements boxed_only, baseline accept",
    )  # fmt: skip


def test_both_scorers_are_side_by_side(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three of four boxes are inside the thinking and right: mathruler counts them, the verifier does not."""
    pytest.importorskip("mathruler")
    first, *rest = _problems()
    rows = [{"id": first.id, "response": f"\\boxed{{{first.answer}}}"}] + [
        {"id": problem.id, "response": f"<think>\\boxed{{{problem.answer}}}</think>"} for problem in rest
    ]
    assert run(_responses(tmp_path / "r.jsonl", rows), "--mathruler") == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[-2:] == ["verify", "mathruler"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    right = {name: scores["pass@1"]["value"] for name, scores in summary["scores"].items()}
    assert right == {"verify": 0.25, "mathruler": 1.0}
    assert summary["settings"]["mathruler"] is True
    assert summary["settings"]["mathruler_fingerprint"].startswith("mathruler 0.1.0, ")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "✓ mathruler" in page and "✗ verify" in page and "scorers disagree" in page
    run(tmp_path / "out" / "samples.jsonl", "--mathruler", out="again")
    pairs = compare([tmp_path / "out", tmp_path / "again"], seed=1).pairs
    assert [(pair.scorer, pair.tied) for pair in pairs] == [("verify", 4), ("mathruler", 4)]


def test_outputs_can_be_compared(run: Run, tmp_path: Path) -> None:
    run(_responses(tmp_path / "a.jsonl", _two_each(right=1)), out="a")
    run(_responses(tmp_path / "b.jsonl", _two_each(right=3)), out="b")
    (pair,) = compare([tmp_path / "a", tmp_path / "b"], seed=1).pairs
    assert (pair.won, pair.lost, pair.tied) == (2, 0, 2)


def test_rescoring_gives_the_same_samples(run: Run, tmp_path: Path) -> None:
    run(_responses(tmp_path / "r.jsonl", _two_each(right=2)), out="first")
    assert run(tmp_path / "first" / "samples.jsonl", out="second") == 0
    assert read_samples(tmp_path / "second" / "samples.jsonl") == read_samples(
        tmp_path / "first" / "samples.jsonl"
    )


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (lambda: [{"id": "x", "response": ""}], [], "1 problems are not in --data, first x"),
        (lambda: _two_each(1)[:-1], [], " 1; give the same number for each"),
        (lambda: _two_each(1), ["--k", "3"], "--k 3: must be from 1 to the 2 samples"),
        (lambda: [{"id": "x", "response": 7}], [], "line 1: 'response' or 'text' is int"),
        (lambda: [], [], "contains no response"),
        (lambda: _two_each(1), ["--reward", "no_such.py:f"], "no such file: no_such.py"),
        (lambda: _two_each(1), ["--split", "tset"], "no split 'tset' here"),
    ],
)
def test_invalid_input_is_one_line(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: Callable[[], Rows],
    options: list[str],
    message: str,
) -> None:
    assert run(_responses(tmp_path / "r.jsonl", rows()), *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_directory_with_an_evaluation_is_refused(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    responses = _responses(tmp_path / "r.jsonl", _two_each(1))
    assert run(responses) == 0
    assert run(responses) == 2
    assert "contains an evaluation; choose another" in capsys.readouterr().err


def test_directory_with_an_unfinished_evaluation_is_refused(run: Run, tmp_path: Path) -> None:
    """Its partial files would be deleted, and --resume would use the wrong responses."""
    SampleStore(tmp_path / "out").begin({"settings": {}})
    assert run(_responses(tmp_path / "r.jsonl", _two_each(1))) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["evaluation.json"]


def test_letters_count_if_the_template_lists_the_choices(run: Run, tmp_path: Path) -> None:
    (row,) = pq.read_table(synthetic_data() / "test.parquet").slice(0, 1).to_pylist()
    listed = pa.Table.from_pylist([{**row, "choices": ["0.5", row["answer"]]}])
    (tmp_path / "data").mkdir()
    pq.write_table(listed, tmp_path / "data" / "test.parquet")
    responses = _responses(tmp_path / "r.jsonl", [{"id": row["id"], "response": "\\boxed{B}"}])
    template = "{{ question }}{% for choice in choices %} ({{ 'AB'[loop.index0] }}) {{ choice }}{% endfor %}"
    values = []
    for number, options in enumerate([(), ("--template", template)]):
        assert run(responses, *options, data=tmp_path / "data", out=str(number)) == 0
        summary = json.loads((tmp_path / str(number) / "summary.json").read_text(encoding="utf-8"))
        values.append(summary["scores"]["verify"]["pass@1"]["value"])
    assert values == [0, 1]


@pytest.fixture
def results() -> Path:
    if not MATHVISTA.is_dir():
        pytest.skip("needs MathVista's results beside the repository")
    return MATHVISTA / "results"


def test_published_accuracy_of_bard_is_reproduced(run: Run, results: Path, tmp_path: Path) -> None:
    """Uses the extractions in the file, without pictures."""
    assert run(results / "output_bard.json", data=MATHVISTA / "testmini.json") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    published = json.loads((results / "scores_bard.json").read_text(encoding="utf-8"))
    assert summary["scores"]["official"]["pass@1"]["value"] == published["average"]["correct"] / 1000
    for kind in ("task", "source"):
        groups = summary["breakdown"][kind]
        right = {name: g["scores"]["official"]["pass@1"] * g["problems"] for name, g in groups.items()}
        assert right == pytest.approx({name: group["correct"] for name, group in published[kind].items()})
    assert "tokens_mean" not in summary["responses"]


def test_extractions_from_another_file(run: Run, results: Path, tmp_path: Path) -> None:
    """Without --extractions, `official` uses our extractions; with it, those of the file."""
    records = json.loads((results / "output_bard.json").read_text(encoding="utf-8"))
    bare = {pid: {"response": record["response"]} for pid, record in records.items()}
    (tmp_path / "bare.json").write_text(json.dumps(bare), encoding="utf-8")
    options = ("--extractions", str(results / "output_bard.json"))
    accuracies = []
    for number, extra in enumerate([(), options]):
        assert run(tmp_path / "bare.json", *extra, data=MATHVISTA / "testmini.json", out=str(number)) == 0
        summary = json.loads((tmp_path / str(number) / "summary.json").read_text(encoding="utf-8"))
        accuracies.append(summary["scores"]["official"]["pass@1"]["value"])
    ours, theirs = accuracies
    assert theirs == 348 / 1000
    assert ours < theirs


def test_summary_states_the_source_of_extractions(run: Run, results: Path, tmp_path: Path) -> None:
    """Only ten of a thousand extractions are given; the summary states this."""
    records = json.loads((results / "output_bard.json").read_text(encoding="utf-8"))
    bare = {pid: {"response": record["response"]} for pid, record in records.items()}
    ten = {pid: {"extraction": record["extraction"]} for pid, record in list(records.items())[:10]}
    for name, table in (("bare", bare), ("ten", ten)):
        (tmp_path / f"{name}.json").write_text(json.dumps(table), encoding="utf-8")
    sources = []
    for number, extra in enumerate([(), ("--extractions", str(tmp_path / "ten.json"))]):
        assert run(tmp_path / "bare.json", *extra, data=MATHVISTA / "testmini.json", out=str(number)) == 0
        summary = json.loads((tmp_path / str(number) / "summary.json").read_text(encoding="utf-8"))
        sources.append(summary["settings"]["extractions"])
    digest = hashlib.sha256((tmp_path / "ten.json").read_bytes()).hexdigest()
    assert sources == [
        {"path": None, "fingerprint": None, "used": 0, "own": 1000},
        {"path": str(tmp_path / "ten.json"), "fingerprint": digest, "used": 10, "own": 990},
    ]


def test_extractions_of_other_responses_are_refused(
    run: Run, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bard's extractions with Qwen's responses."""
    options = ("--extractions", str(results / "output_bard.json"))
    qwen = results / "qwen2.5-vl-7b_testmini.jsonl"
    assert run(qwen, *options, data=MATHVISTA / "testmini.json") == 2
    assert (
        "mathvista-1 has another response there; give the extractions of --responses"
        in capsys.readouterr().err
    )


def test_extractions_for_several_responses_are_refused(
    run: Run, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"pid": "1", "response": "1.2"}, {"pid": "1", "response": "1.3"}]
    options = ("--extractions", str(results / "output_bard.json"))
    assert run(_responses(tmp_path / "r.jsonl", rows), *options, data=MATHVISTA / "testmini.json") == 2
    assert "--extractions: one per problem" in capsys.readouterr().err
