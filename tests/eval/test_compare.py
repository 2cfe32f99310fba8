"""Runs side by side: differences, problems won and lost, and what is refused."""

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

Counts = Mapping[str, Sequence[int]]  # by scorer: right responses, problem by problem


def _run(path: Path, counts: Counts, n: int, ks: Sequence[int], ids: Sequence[str] | None = None) -> Path:
    """A finished evaluation of problems p0, p1, ... in which the first c responses are right."""
    path.mkdir(parents=True)
    names = ids or [f"p{number}" for number in range(len(next(iter(counts.values()))))]
    with (path / "samples.jsonl").open("wb") as file:
        for place, name in enumerate(names):
            for index in range(n):
                scores = {scorer: Score(index < c[place], "1", "", "") for scorer, c in counts.items()}
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


def test_a_sample_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Twice index 0, never index 1: as many lines as there should be."""
    pair = _pair(tmp_path)
    path = pair[1] / "samples.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"index": 1', '"index": 0'), encoding="utf-8")
    with pytest.raises(UserError, match="a sample is there twice"):
        compare(pair, seed=3)


def test_two_rewards_are_one_scorer_only_where_they_are_one_function(tmp_path: Path) -> None:
    runs = [
        _run(tmp_path / name, {"verify": [1, 0], "reward": right}, 2, [1])
        for name, right in (("a", [2, 2]), ("b", [0, 0]))
    ]
    for run in runs:
        _edit(run, "settings", "reward of 12ab", "reward_fingerprint")
    assert [contest.scorer for contest in compare(runs, seed=3).contests] == ["verify", "reward"]
    _edit(runs[1], "settings", "half of 12ab", "reward_fingerprint")
    assert [contest.scorer for contest in compare(runs, seed=3).contests] == ["verify"]
    assert "rewards are two functions" in comparison_table(compare(runs, seed=3))


def test_another_number_of_samples_is_told(tmp_path: Path) -> None:
    one = _run(tmp_path / "many", {"verify": [3, 1]}, n=4, ks=[1, 4])
    other = _run(tmp_path / "greedy", {"verify": [1, 0]}, n=1, ks=[1])
    (contest,) = compare([one, other], seed=3).contests
    assert contest.unlike == ("n 4, here 1",)


def test_other_ways_to_sample_are_told(tmp_path: Path) -> None:
    pair = _pair(tmp_path)
    _edit(pair[0], "settings", 1.0, "temperature")
    _edit(pair[1], "settings", 0.5, "temperature")
    _edit(pair[1], "settings", 7, "seed")
    (contest,) = compare(pair, seed=3).contests
    assert contest.unlike == ("temperature 1.0, here 0.5",)
    assert "unlike the baseline: temperature 1.0, here 0.5" in comparison_table(compare(pair, 3))


def test_two_runs_by_hand(tmp_path: Path) -> None:
    comparison = compare(_pair(tmp_path), seed=3)
    (contest,) = comparison.contests
    assert (comparison.baseline, comparison.problems, contest.name) == ("before", 4, "after")
    assert (contest.won, contest.lost, contest.tied) == (2, 1, 1)
    one, two, four = contest.differences
    assert (one.k, one.baseline, one.other) == (1, 7 / 16, 9 / 16)
    # Pass@2 of c of 4: 0, 1/2, 5/6, 1, 1.
    assert (two.k, two.baseline) == (2, pytest.approx((0 + 5 / 6 + 1 + 1 / 2) / 4))
    assert two.other == pytest.approx((1 / 2 + 5 / 6 + 5 / 6 + 1) / 4)
    assert (four.k, four.baseline, four.other, four.value) == (4, 0.75, 1.0, 0.25)


def test_intervals_are_of_the_paired_differences(tmp_path: Path) -> None:
    (contest,) = compare(_pair(tmp_path), seed=3).contests
    assert contest.differences[0].interval == pytest.approx(paired_interval([0.25, 0.0, -0.5, 0.75], seed=3))


def test_what_is_hard_for_both_does_not_widen_the_interval(tmp_path: Path) -> None:
    before = [number % 4 for number in range(200)]
    one = _run(tmp_path / "a", {"verify": before}, n=4, ks=[1])
    two = _run(
        tmp_path / "b", {"verify": [c + (place % 10 > 0) for place, c in enumerate(before)]}, n=4, ks=[1]
    )
    (contest,) = compare([one, two], seed=0).contests
    # Differences are 1/4 in 9 of 10 problems, else 0: a standard error of 0.25 * 0.3 / sqrt(200) = 0.0053.
    low, high = contest.differences[0].interval
    assert high - low == pytest.approx(2 * 1.96 * 0.0053, rel=0.1)
    assert (contest.won, contest.lost, contest.tied) == (180, 0, 20)


def test_runs_of_other_sizes_share_the_k_that_both_can_do(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [1, 2]}, n=2, ks=[2])
    two = _run(tmp_path / "b", {"verify": [4, 7]}, n=8, ks=[1, 8])
    (contest,) = compare([one, two], seed=0).contests
    assert [row.k for row in contest.differences] == [1, 2]
    assert (contest.won, contest.lost, contest.tied) == (0, 1, 1)  # 1/2 and 4/8 tie, 7/8 is less than 2/2


def test_scorers_that_both_have_are_compared_in_the_baselines_order(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [0], "official": [1], "reward": [1]}, n=1, ks=[1])
    two = _run(tmp_path / "b", {"official": [1], "verify": [1]}, n=1, ks=[1])
    assert [contest.scorer for contest in compare([one, two], seed=0).contests] == ["verify", "official"]


def test_the_order_of_problems_in_a_file_does_not_matter(tmp_path: Path) -> None:
    one, two = _pair(tmp_path)
    turned = _run(
        tmp_path / "turned" / "after", {"verify": [4, 2, 2, 1]}, 4, [1, 2], ["p3", "p2", "p1", "p0"]
    )
    assert compare([one, two], seed=1).contests == compare([one, turned], seed=1).contests


def test_each_run_is_compared_with_the_first_and_named_apart(tmp_path: Path) -> None:
    paths = [_run(tmp_path / seed / "eval", {"verify": [1, 0]}, 1, [1]) for seed in ("s1", "s2", "s3")]
    comparison = compare(paths, seed=0)
    assert comparison.baseline == "s1/eval"
    assert [contest.name for contest in comparison.contests] == ["s2/eval", "s3/eval"]


def test_the_table_says_what_the_interval_says(tmp_path: Path) -> None:
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


def test_other_data_is_refused_with_both_values(tmp_path: Path) -> None:
    one, two = _pair(tmp_path)
    _edit(two, "data", "other", "fingerprint")
    told = _refusal(one, two)
    assert "abc" in told and "other" in told and str(one) in told and str(two) in told


def test_other_problems_are_refused(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [1, 1]}, 1, [1], ["p0", "p1"])
    two = _run(tmp_path / "b", {"verify": [1, 1]}, 1, [1], ["p0", "p2"])
    assert "2 problems, such as p1" in _refusal(one, two)


def test_runs_without_a_common_scorer_are_refused(tmp_path: Path) -> None:
    one = _run(tmp_path / "a", {"verify": [1]}, 1, [1])
    two = _run(tmp_path / "b", {"reward": [1]}, 1, [1])
    told = _refusal(one, two)
    assert "verify" in told and "reward" in told


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


def test_one_run_and_the_same_run_twice_are_refused(tmp_path: Path) -> None:
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
def test_a_summary_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    one, two = _pair(tmp_path)
    (two / "summary.json").write_text(text, encoding="utf-8")
    assert "summary.json: no summary" in _refusal(one, two)


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


def test_a_comparison_depends_on_its_seed_alone(tmp_path: Path) -> None:
    paths = _pair(tmp_path)
    first: Comparison = compare(paths, seed=5)
    assert first == compare(paths, seed=5)
    assert first != compare(paths, seed=6)
