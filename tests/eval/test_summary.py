from __future__ import annotations

from dataclasses import replace

import pytest

from eval.console import console_text
from eval.samples import Sample, Score
from eval.summary import summarise
from vlm_uec.types import Problem

PROBLEMS = {
    name: Problem(name, "What is x?", "12", metadata={"level": level})
    for name, level in (("a", 1), ("b", 1), ("c", 2), ("d", 2))
}


def _sample(
    name: str, index: int, answer: str | None, *, tokens: int | None = 10, truncated: bool = False
) -> Sample:
    right = Score(answer == "12", answer, "", "")
    never = Score(False, answer, "", "")
    return Sample(name, index, "", tokens, truncated, {"verify": right, "official": never})


def _samples() -> list[Sample]:
    """4, 2, 1 and 0 correct responses of four; those to d are truncated and have no extracted answer."""
    answers = {"a": ["12"] * 4, "b": ["12", "12", "5", "7"], "c": ["12", "5", "5", "7"]}
    found = [_sample(name, i, answer) for name, row in answers.items() for i, answer in enumerate(row)]
    return found + [_sample("d", i, None, tokens=30, truncated=True) for i in range(4)]


def test_estimates_against_values_by_hand() -> None:
    """Pass@2 is 1, 1 - 1/6, 1 - 3/6 and 0. The majority of four is correct for a and b, wrong for c, empty
    for d."""
    summary = summarise(PROBLEMS, _samples(), [1, 2, 4], seed=1)
    scores = {name: metric["value"] for name, metric in summary["scores"]["verify"].items() if "@" in name}
    assert scores == pytest.approx(
        {
            "pass@1": 7 / 16,
            "pass@2": (1 + 5 / 6 + 1 / 2) / 4,
            "pass@4": 3 / 4,
            # Two responses to b: both correct 1/6, one correct 4/6 (ties count half). To c: one correct 3/6.
            "maj@2": (1 + 1 / 6 + 1 / 3 + 1 / 4) / 4,
            "maj@4": 2 / 4,
            "mean@4": 7 / 16,
        }
    )
    assert summary["scores"]["official"]["pass@4"]["value"] == 0
    assert summary["scores"]["verify"]["unextracted"] == 1 / 4
    assert (summary["problems"], summary["samples"]) == (4, 16)
    assert summary["responses"] == {
        "truncated": 1 / 4,
        "tokens_mean": 15,
        "tokens_median": 10,
        "tokens_max": 30,
    }


def test_every_estimate_has_an_interval_around_it() -> None:
    for scores in summarise(PROBLEMS, _samples(), [1, 4], seed=1)["scores"].values():
        for name, metric in scores.items():
            if "@" in name:
                low, high = metric["interval"]
                assert 0 <= low <= metric["value"] <= high <= 1
                assert high - low > 0.1  # few problems, wide intervals


def test_breakdown_by_group() -> None:
    groups = summarise(PROBLEMS, _samples(), [1, 4], seed=1)["breakdown"]["level"]
    assert list(groups) == ["1", "2"]
    assert groups["1"]["problems"] == groups["2"]["problems"] == 2
    assert groups["1"]["scores"]["verify"] == pytest.approx(
        {"pass@1": 3 / 4, "pass@4": 1, "mean@4": 3 / 4, "maj@4": 1}
    )
    assert groups["2"]["scores"]["verify"]["pass@4"] == 1 / 2
    assert (groups["2"]["truncated"], groups["2"]["unextracted"], groups["2"]["tokens_mean"]) == (
        0.5,
        0.5,
        20,
    )


def test_unknown_lengths_are_not_reported() -> None:
    samples = [_sample(name, 0, "12", tokens=None) for name in PROBLEMS]
    summary = summarise(PROBLEMS, samples, [1], seed=1)
    assert summary["responses"] == {"truncated": 0}
    assert "tokens_mean" not in summary["breakdown"]["level"]["1"]


def test_unknown_truncation_is_not_reported() -> None:
    samples = [replace(_sample(name, 0, "12"), truncated=None) for name in PROBLEMS]
    summary = {"settings": {"k": [1]}, **summarise(PROBLEMS, samples, [1], seed=1)}
    assert "truncated" not in summary["responses"]
    assert "truncated" not in summary["breakdown"]["level"]["1"]
    assert "truncated" not in console_text(summary)


def test_console_lists_problems_left_out() -> None:
    data = {"left_out": {"no response": 1}, "prepared": {"left_out": {"missing picture": 874}}}
    summary = {"settings": {"k": [1, 4]}, "data": data, **summarise(PROBLEMS, _samples(), [1, 4], seed=1)}
    text = console_text(summary)
    assert "left out by data_prep: 874 (missing picture)" in text
    assert "left out by this evaluation: 1 (no response)" in text


def test_no_majority_for_a_scorer_without_extracted_answers() -> None:
    scores = {"verify": Score(True, "12", "", ""), "reward": Score(True, None, "", "")}
    samples = [Sample(name, index, "", 5, False, scores) for name in PROBLEMS for index in range(2)]
    found = summarise(PROBLEMS, samples, [1, 2], seed=1)["scores"]
    assert "maj@2" in found["verify"]
    assert "maj@2" not in found["reward"]
    assert "unextracted" in found["verify"]
    assert "unextracted" not in found["reward"]


def test_console_text() -> None:
    summary = {"settings": {"k": [1, 4]}, **summarise(PROBLEMS, _samples(), [1, 4], seed=1)}
    text = console_text(summary)
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "43.75  (" in lines["pass@1"]
    assert "75.00  (" in lines["pass@4"]
    assert lines["nothing"].split() == ["nothing", "extracted", "25.00", "25.00"]
    assert "4 problems, 16 responses, 15.0 tokens on average, 30 at most, 25.00 % truncated" in text
    (level_two,) = [line.split() for line in text.splitlines() if line.startswith("  2 ")]
    assert level_two == ["2", "2", "12.50", "0.00"]  # with two scorers the table shows only Pass@1
    alone = [replace(sample, scores={"verify": sample.scores["verify"]}) for sample in _samples()]
    text = console_text({"settings": {"k": [1, 2, 4]}, **summarise(PROBLEMS, alone, [1, 2, 4], seed=1)})
    (level_two,) = [line.split() for line in text.splitlines() if line.startswith("  2 ")]
    assert level_two == ["2", "2", "12.50", "50.00"]
    assert max(map(len, text.partition("  level")[2].splitlines())) <= 80


def test_console_shows_important_kinds_first() -> None:
    labels = {"zoo": "a", "grade": "1", "task": "x", "b": "b", "c": "c", "d": "d", "source": "s"}
    problems = {
        name: Problem(
            name, "?", "12", metadata={kind: value + str(name in "ab") for kind, value in labels.items()}
        )
        for name in "abcd"
    }
    summary = {
        "settings": {"k": [1]},
        **summarise(problems, [_sample(n, 0, "12") for n in "abcd"], [1], seed=1),
    }
    text = console_text(summary)
    assert [line.split()[0] for line in text.splitlines() if "problems  " in line] == [
        "task", "source", "grade", "zoo", "b",
    ]  # fmt: skip
    assert text.endswith("further groups in summary.json: by c, d")


def test_console_escapes_metadata() -> None:
    problems = {
        name: Problem(name, "?", "12", metadata={"task": f"\x1b[2J{name in 'ab'}"}) for name in "abcd"
    }
    summary = {
        "settings": {"k": [1]},
        **summarise(problems, [_sample(n, 0, "12") for n in "abcd"], [1], seed=1),
    }
    text = console_text(summary)
    assert "\x1b" not in text
    assert "\\x1b[2JTrue" in text
