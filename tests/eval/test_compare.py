"""Comparison of evaluations: differences, problems won and lost, and refused input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from eval.compare import Comparison, compare, comparison_table
from eval.intervals import paired_interval
from eval.samples import Sample, Score, sample_line
from vlm_uec.errors import UserError

Counts = Mapping[str, Sequence[int]]  # by scorer: number of correct responses per problem


def _run(path: Path, counts: Counts, n: int, ks: Sequence[int], ids: Sequence[str] | None = None) -> Path:
    """A finished evaluation of problems p0, p1, ...; the first `counts` responses of each are correct."""
    path.mkdir(parents=True)
    names = ids or [f"p{number}" for number in range(len(next(iter(counts.values()))))]
    with (path / "samples.jsonl").open("wb") as file:
        for position, name in enumerate(names):
            for index in range(n):
                scores = {scorer: Score(index < c[position], "1", "", "") for scorer, c in counts.items()}
                file.write(sample_line(Sample(name, index, "", 1, False, scores)))
    summary = {
        "data": {"fingerprint": "abc", "split": "test"},
        "settings": {"n": n, "k": list(ks)},
        "scores": {scorer: {} for scorer in counts},
    }
    (path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return path


def _edit(path: Path, part: str, value: Any, key: str | None = None) -> None:
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    if key is None:
        summary[part] = value
    else:
        summary[part][key] = value
    (path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def _pair(tmp_path: Path) -> tuple[Path, Path]:
    one = _run(tmp_path / "before", {"verify": [0, 2, 4, 1]}, n=4, ks=[1, 4])
    return one, _run(tmp_path / "after", {"verify": [1, 2, 2, 4]}, n=4, ks=[1, 2])


def test_duplicate_sample_is_refused(tmp_path: Path) -> None:
    """Index 0 occurs twice instead of index 1, so the number of lines is right."""
    paths = _pair(tmp_path)
    path = paths[1] / "samples.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"index": 1', '"index": 0'), encoding="utf-8")
    with pytest.raises(UserError, match="duplicate sample"):
        compare(paths, seed=3)


def test_rewards_are_compared_only_if_the_function_is_the_same(tmp_path: Path) -> None:
    runs = [
        _run(tmp_path / name, {"verify": [1, 0], "reward": right}, 2, [1])
        for name, right in (("a", [2, 2]), ("b", [0, 0]))
    ]
    for run in runs:
        _edit(run, "settings", "reward of 12ab", "reward_fingerprint")
    assert [pair.scorer for pair in compare(runs, seed=3).pairs] == ["verify", "reward"]
    _edit(runs[1], "settings", "half of 12ab", "reward_fingerprint")
    assert [pair.scorer for pair in compare(runs, seed=3).pairs] == ["verify"]
    assert "reward functions differ" in comparison_table(compare(runs, seed=3))


def test_mathruler_is_compared_only_in_the_same_version(tmp_path: Path) -> None:
    runs = [_run(tmp_path / name, {"verify": [1, 0], "mathruler": [2, 2]}, 2, [1]) for name in ("a", "b")]
    for run in runs:
        _edit(run, "settings", "mathruler 0.1.0, sympy 1.14.0", "mathruler_fingerprint")
    assert [pair.scorer for pair in compare(runs, seed=3).pairs] == ["verify", "mathruler"]
    _edit(runs[1], "settings", "mathruler 0.1.0, sympy 1.13.0", "mathruler_fingerprint")
    assert [pair.scorer for pair in compare(runs, seed=3).pairs] == ["verify"]
    assert "versions of mathruler or sympy differ" in comparison_table(compare(runs, seed=3))


def test_a_scorer_of_one_run_is_no_difference_of_settings(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [1, 0]}, 2, [1])
    two = _run(tmp_path / "b", {"verify": [1, 0], "mathruler": [2, 2]}, 2, [1])
    _edit(two, "settings", "mathruler 0.1.0", "mathruler_fingerprint")
    (pair,) = compare([one, two], seed=3).pairs
    assert (pair.scorer, pair.differing_settings) == ("verify", ())


def test_different_number_of_samples_is_reported(tmp_path: Path) -> None:
    one = _run(tmp_path / "many", {"verify": [3, 1]}, n=4, ks=[1, 4])
    other = _run(tmp_path / "greedy", {"verify": [1, 0]}, n=1, ks=[1])
    (pair,) = compare([one, other], seed=3).pairs
    assert pair.differing_settings == ("n 1, baseline 4",)


def test_different_sampling_settings_are_reported(tmp_path: Path) -> None:
    paths = _pair(tmp_path)
    _edit(paths[0], "settings", 1.0, "temperature")
    _edit(paths[1], "settings", 0.5, "temperature")
    _edit(paths[1], "settings", 7, "seed")
    (pair,) = compare(paths, seed=3).pairs
    assert pair.differing_settings == ("temperature 0.5, baseline 1.0",)
    assert "settings that differ: temperature 0.5, baseline 1.0" in comparison_table(compare(paths, 3))


def test_two_runs_against_values_by_hand(tmp_path: Path) -> None:
    comparison = compare(_pair(tmp_path), seed=3)
    (pair,) = comparison.pairs
    assert (comparison.baseline, comparison.problems, pair.name) == ("before", 4, "after")
    assert (pair.won, pair.lost, pair.tied) == (2, 1, 1)
    one, two, four = pair.differences
    assert (one.k, one.baseline, one.other) == (1, 7 / 16, 9 / 16)
    # Pass@2 of c of 4: 0, 1/2, 5/6, 1, 1.
    assert (two.k, two.baseline) == (2, pytest.approx((0 + 5 / 6 + 1 + 1 / 2) / 4))
    assert two.other == pytest.approx((1 / 2 + 5 / 6 + 5 / 6 + 1) / 4)
    assert (four.k, four.baseline, four.other, four.value) == (4, 0.75, 1.0, 0.25)


def test_intervals_are_computed_from_paired_differences(tmp_path: Path) -> None:
    (pair,) = compare(_pair(tmp_path), seed=3).pairs
    assert pair.differences[0].interval == pytest.approx(paired_interval([0.25, 0.0, -0.5, 0.75], seed=3))


def test_shared_difficulty_does_not_widen_the_interval(tmp_path: Path) -> None:
    before = [number % 4 for number in range(200)]
    one = _run(tmp_path / "a", {"verify": before}, n=4, ks=[1])
    two = _run(
        tmp_path / "b",
        {"verify": [c + (position % 10 > 0) for position, c in enumerate(before)]},
        n=4,
        ks=[1],
    )
    (pair,) = compare([one, two], seed=0).pairs
    # 9 of 10 differences are 1/4, the others 0: the standard error is 0.25 * 0.3 / sqrt(200) = 0.0053.
    low, high = pair.differences[0].interval
    assert high - low == pytest.approx(2 * 1.96 * 0.0053, rel=0.1)
    assert (pair.won, pair.lost, pair.tied) == (180, 0, 20)


def test_runs_with_different_n_are_compared_for_k_up_to_the_smaller_n(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [1, 2]}, n=2, ks=[2])
    two = _run(tmp_path / "b", {"verify": [4, 7]}, n=8, ks=[1, 8])
    (pair,) = compare([one, two], seed=0).pairs
    assert [row.k for row in pair.differences] == [1, 2]
    assert (pair.won, pair.lost, pair.tied) == (0, 1, 1)  # 1/2 and 4/8 tie, 7/8 is less than 2/2


def test_common_scorers_are_compared_in_the_baselines_order(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [0], "official": [1], "reward": [1]}, n=1, ks=[1])
    two = _run(tmp_path / "b", {"official": [1], "verify": [1]}, n=1, ks=[1])
    assert [pair.scorer for pair in compare([one, two], seed=0).pairs] == ["verify", "official"]


def test_the_order_of_problems_in_a_file_does_not_matter(tmp_path: Path) -> None:
    one, two = _pair(tmp_path)
    turned = _run(
        tmp_path / "turned" / "after", {"verify": [4, 2, 2, 1]}, 4, [1, 2], ["p3", "p2", "p1", "p0"]
    )
    assert compare([one, two], seed=1).pairs == compare([one, turned], seed=1).pairs


def test_each_run_is_compared_with_the_first_under_a_distinct_name(tmp_path: Path) -> None:
    paths = [_run(tmp_path / seed / "eval", {"verify": [1, 0]}, 1, [1]) for seed in ("s1", "s2", "s3")]
    comparison = compare(paths, seed=0)
    assert comparison.baseline == "s1/eval"
    assert [pair.name for pair in comparison.pairs] == ["s2/eval", "s3/eval"]


def test_table_verdict_follows_from_the_interval(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [0] * 40}, n=1, ks=[1])
    two = _run(tmp_path / "b\x1b[2J", {"verify": [1] * 30 + [0] * 10}, n=1, ks=[1])
    better = comparison_table(compare([one, two], seed=0))
    assert "pass@1          0.00     75.00      +75.00" in better and "  better" in better
    assert "30 won, 0 lost, 10 tied" in better and "40 problems of test; baseline: a" in better
    assert "\x1b" not in better
    assert "  worse" in comparison_table(compare([two, one], seed=0))
    even = _run(tmp_path / "c", {"verify": [0] * 20 + [1] * 20}, n=1, ks=[1])
    odd = _run(tmp_path / "d", {"verify": [1] * 20 + [0] * 20}, n=1, ks=[1])
    assert "  undecided" in comparison_table(compare([even, odd], seed=0))


def _refusal(*paths: Path) -> str:
    with pytest.raises(UserError) as refusal:
        compare(paths, seed=0)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_other_data_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    one, two = _pair(tmp_path)
    _edit(two, "data", "other", "fingerprint")
    message = _refusal(one, two)
    assert "abc" in message and "other" in message and str(one) in message and str(two) in message


def test_other_problems_are_refused(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [1, 1]}, 1, [1], ["p0", "p1"])
    two = _run(tmp_path / "b", {"verify": [1, 1]}, 1, [1], ["p0", "p2"])
    assert "2 problems, such as p1" in _refusal(one, two)


def test_runs_without_a_common_scorer_are_refused(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [1]}, 1, [1])
    two = _run(tmp_path / "b", {"reward": [1]}, 1, [1])
    message = _refusal(one, two)
    assert "verify" in message and "reward" in message


@pytest.mark.parametrize("name", ["summary.json", "samples.jsonl"])
def test_a_directory_without_results_is_refused(tmp_path: Path, name: str) -> None:
    one, two = _pair(tmp_path)
    (two / name).unlink()
    assert f"no {name}" in _refusal(one, two)


def test_a_run_with_samples_missing_is_refused(tmp_path: Path) -> None:
    one, two = _pair(tmp_path)
    lines = (two / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (two / "samples.jsonl").write_bytes(b"".join(lines[:-1]))
    assert "problem p3 has 3 samples, not 4" in _refusal(one, two)
    (two / "samples.jsonl").write_bytes(b"")
    assert "no samples" in _refusal(one, two)


def test_single_and_duplicate_runs_are_refused(tmp_path: Path) -> None:
    one, two = _pair(tmp_path)
    assert "two evaluations" in _refusal(one)
    assert "given twice" in _refusal(one, two, tmp_path / "after" / ".." / "before")


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("data", None, None),
        ("data", None, "text"),
        ("data", "fingerprint", 7),
        ("data", "split", ["test"]),
        ("settings", None, [4]),
        ("settings", "n", "4"),
        ("settings", "n", True),
        ("settings", "n", 4.0),
        ("settings", "n", -4),
        ("settings", "k", 1),
        ("settings", "k", []),
        ("settings", "k", "14"),
        ("settings", "k", [0]),
        ("settings", "k", [1, 5]),  # more than n
        ("settings", "k", [[1]]),
        ("scores", None, {}),
        ("scores", None, [["verify"]]),
        ("scores", None, "verify"),
        ("scores", None, None),
        ("scores", None, {"absent": {}}),
    ],
)
def test_a_summary_of_wrong_types_is_refused(tmp_path: Path, part: str, key: str | None, value: Any) -> None:
    one, two = _pair(tmp_path)
    _edit(two, part, value, key)
    assert str(two) in _refusal(one, two)


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, '{"data": {}}', "\x00"])
def test_malformed_summary_is_refused(tmp_path: Path, text: str) -> None:
    one, two = _pair(tmp_path)
    (two / "summary.json").write_text(text, encoding="utf-8")
    assert "summary.json: not a valid summary" in _refusal(one, two)


@pytest.mark.parametrize(
    "change",
    [
        {"problem_id": ["p0"]},
        {"scores": {"verify": {"correct": "yes", "extracted": "", "reason": "", "rule": ""}}},
    ],
)
def test_samples_of_wrong_types_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    one, two = _pair(tmp_path)
    lines = (two / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), **change})
    (two / "samples.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert "samples.jsonl" in _refusal(one, two)


def test_comparison_is_determined_by_the_seed(tmp_path: Path) -> None:
    paths = _pair(tmp_path)
    first: Comparison = compare(paths, seed=5)
    assert first == compare(paths, seed=5)
    assert first != compare(paths, seed=6)
