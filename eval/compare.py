"""`eval/passk.py --compare A B …`: compares finished evaluations of the same problems with the first one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.estimators import pass_at_k
from eval.intervals import Interval, paired_intervals
from eval.samples import MATHRULER, REWARD, SAMPLES, SUMMARY, Sample, read_samples
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.bounded_json import read_json
from vlm_uec.verifier.strictness import DEFAULT

# Settings without effect on the comparison, and settings reported elsewhere.
# Scorers that several functions or versions can have: the setting that identifies it, and what it is.
_IDENTIFIED = {
    REWARD: ("reward_fingerprint", "the reward functions"),
    MATHRULER: ("mathruler_fingerprint", "the versions of mathruler or sympy"),
}
_IGNORED_SETTINGS = (
    *("k", "split", "seed", "slots", "problems", "reward", "mathruler"),
    *(setting for setting, _ in _IDENTIFIED.values()),
)


@dataclass(frozen=True)
class EvaluationRun:
    """A finished evaluation, as far as a comparison needs it."""

    path: Path
    fingerprint: str  # of the problems
    split: str
    n: int
    ks: tuple[int, ...]
    settings: Mapping[str, Any]
    correct_counts: Mapping[str, Mapping[str, int]]  # correct responses by scorer and problem id


@dataclass(frozen=True)
class Difference:
    """Pass@k of both runs, in [0, 1], and the 95 % interval of their difference (other minus baseline)."""

    k: int
    baseline: float
    other: float
    interval: Interval

    @property
    def value(self) -> float:
        return self.other - self.baseline


@dataclass(frozen=True)
class PairComparison:
    """One run against the baseline by one scorer. A problem is won by the larger share of correct
    responses."""

    name: str
    scorer: str
    differing_settings: tuple[str, ...]  # "name value, baseline value"
    won: int
    lost: int
    tied: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Comparison:
    baseline: str
    split: str
    problems: int
    pairs: tuple[PairComparison, ...]


def compare(runs: Sequence[Path], seed: int) -> Comparison:
    """Compares each evaluation with the first, by the scorers that both have.

    Each k is compared that either run requested and that is at most n of both.
    Raises UserError if a directory is not a finished evaluation, or was evaluated on other problems.
    """
    if len(runs) < 2:
        raise UserError("--compare: give two evaluations or more, the baseline first")
    names = _distinct_names(runs)
    baseline, *others = [_read_run(path) for path in runs]
    pairs = []
    for name, other in zip(names[1:], others, strict=True):
        _check_same_problems(baseline, other)
        pairs += [
            _compare_pair(name, scorer, baseline, other, seed) for scorer in _common_scorers(baseline, other)
        ]
    problems = len(next(iter(baseline.correct_counts.values())))
    return Comparison(names[0], baseline.split, problems, tuple(pairs))


def comparison_table(comparison: Comparison) -> str:
    """The comparison as console text, in per cent and percentage points."""
    names = escape(comparison.split), escape(comparison.baseline)
    head = "{} problems of {}; baseline: {}".format(comparison.problems, *names)
    return "\n".join([head, *(line for pair in comparison.pairs for line in _pair_lines(pair))])


def _pair_lines(pair: PairComparison) -> Iterable[str]:
    yield ""
    yield f"{escape(pair.name)}, scored by {escape(pair.scorer)}"
    if pair.differing_settings:
        yield f"  settings that differ: {'; '.join(pair.differing_settings)}"
    yield f"  {'%':<10}{'baseline':>10}{'this run':>10}{'difference':>12}   95 % interval"
    for row in pair.differences:
        low, high = row.interval
        verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
        values = f"{100 * row.baseline:>10.2f}{100 * row.other:>10.2f}{100 * row.value:>+12.2f}"
        yield f"  {f'pass@{row.k}':<10}{values}   {100 * low:+.2f} to {100 * high:+.2f}  {verdict}"
    record = f"{pair.won} won, {pair.lost} lost, {pair.tied} tied"
    yield f"  problems: {record}, by the share of correct responses"


def _compare_pair(
    name: str, scorer: str, baseline: EvaluationRun, other: EvaluationRun, seed: int
) -> PairComparison:
    # Sorted, so that the interval does not depend on the order of problems.
    counts = [
        (c, other.correct_counts[scorer][problem])
        for problem, c in sorted(baseline.correct_counts[scorer].items())
    ]
    leads = [after * baseline.n - before * other.n for before, after in counts]
    ks = sorted(k for k in {*baseline.ks, *other.ks} if k <= min(baseline.n, other.n))
    before = np.array([[pass_at_k(baseline.n, c, k) for k in ks] for c, _ in counts])
    after = np.array([[pass_at_k(other.n, c, k) for k in ks] for _, c in counts])
    means = zip(ks, before.mean(axis=0).tolist(), after.mean(axis=0).tolist(), strict=True)
    intervals = paired_intervals(after - before, seed)
    return PairComparison(
        name,
        scorer,
        _differing_settings(baseline, other),
        won=sum(lead > 0 for lead in leads),
        lost=sum(lead < 0 for lead in leads),
        tied=leads.count(0),
        differences=tuple(Difference(*row, interval) for row, interval in zip(means, intervals, strict=True)),
    )


def _differing_settings(baseline: EvaluationRun, other: EvaluationRun) -> tuple[str, ...]:
    settings = [name for name in {**baseline.settings, **other.settings} if name not in _IGNORED_SETTINGS]
    pairs = {name: (baseline.settings.get(name), other.settings.get(name)) for name in settings}
    differences = [
        f"{escape(name)} {escape(str(value))}, baseline {escape(str(reference))}"
        for name, (reference, value) in pairs.items()
        if reference != value
    ]
    both = baseline.correct_counts.keys() & other.correct_counts.keys()
    return (
        *differences,
        *(
            f"{words} differ and are not compared"
            for scorer, (_, words) in _IDENTIFIED.items()
            if scorer in both and not _is_same(scorer, baseline, other)
        ),
    )


def _check_same_problems(baseline: EvaluationRun, other: EvaluationRun) -> None:
    if baseline.fingerprint != other.fingerprint:
        raise UserError(
            f"--compare: {other.path} was evaluated on other data ({_describe_data(other)}) than "
            f"{baseline.path} ({_describe_data(baseline)}); evaluate both on the same data"
        )
    scorers = _common_scorers(baseline, other)
    if not scorers:
        raise UserError(
            f"--compare: {other.path} was scored by {escape(', '.join(other.correct_counts))} and "
            f"{baseline.path} by {escape(', '.join(baseline.correct_counts))}; "
            "evaluate both with the same scorer"
        )
    mismatched = baseline.correct_counts[scorers[0]].keys() ^ other.correct_counts[scorers[0]].keys()
    if mismatched:
        raise UserError(
            f"--compare: {len(mismatched)} problem{'s' * (len(mismatched) > 1)}, such as "
            f"{escape(min(mismatched))}, in only one of {baseline.path} "
            f"and {other.path}; give runs on the same problems"
        )


def _describe_data(run: EvaluationRun) -> str:
    problems = len(next(iter(run.correct_counts.values())))
    return f"{escape(run.split)}, {problems} problems, {escape(run.fingerprint[:12])}"


def _common_scorers(baseline: EvaluationRun, other: EvaluationRun) -> list[str]:
    """The scorers of both runs; `reward` and `mathruler` only if both used the same."""
    return [
        name
        for name in baseline.correct_counts
        if name in other.correct_counts and _is_same(name, baseline, other)
    ]


def _is_same(scorer: str, baseline: EvaluationRun, other: EvaluationRun) -> bool:
    if scorer not in _IDENTIFIED:
        return True
    setting, _ = _IDENTIFIED[scorer]
    return bool(baseline.settings.get(setting) == other.settings.get(setting))


def _distinct_names(runs: Sequence[Path]) -> list[str]:
    """Directory names with as many parents as needed to make them distinct."""
    parts = [path.resolve().parts for path in runs]
    if duplicates := [path for path, count in Counter(parts).items() if count > 1]:
        raise UserError(f"--compare: {Path(*duplicates[0])} is given twice; give each evaluation once")
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names


def _read_run(path: Path) -> EvaluationRun:
    if missing := [name for name in (SUMMARY, SAMPLES) if not (path / name).is_file()]:
        raise UserError(
            f"--compare: {path} is not a finished evaluation (no {missing[0]}); finish it with --resume"
        )
    data, settings, scorers = _read_summary(path / SUMMARY)
    n, ks = settings["n"], tuple(settings["k"])
    samples = read_samples(path / SAMPLES)
    correct_counts = {name: _count_correct(path, samples, name, n) for name in scorers}
    return EvaluationRun(path, data["fingerprint"], data["split"], n, ks, settings, correct_counts)


def _read_summary(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The data section, the settings, and the names of the scorers.

    An evaluation from before the strictness was a setting has its defaults.
    """
    try:
        summary: Any = read_json(path)
        data, settings, scores = summary["data"], summary["settings"], summary["scores"]
        texts, n, ks = (data["fingerprint"], data["split"]), settings["n"], tuple(settings["k"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path}: not a valid summary ({escape(str(error), 120)}); evaluate again") from error
    are_mappings = all(isinstance(part, dict) for part in (data, settings, scores))
    well_typed = all(isinstance(part, str) for part in texts) and all(
        type(number) is int for number in (n, *ks)
    )
    if not (are_mappings and well_typed and scores and ks and min(ks) >= 1 and max(ks) <= n):
        raise UserError(f"{path}: not a valid summary (data, settings or scores malformed); evaluate again")
    return data, {**asdict(DEFAULT), **settings}, list(scores)


def _count_correct(path: Path, samples: Sequence[Sample], scorer: str, n: int) -> dict[str, int]:
    """Correct responses by problem id. Raises UserError unless every problem has exactly n responses."""
    total: Counter[str] = Counter()
    correct: Counter[str] = Counter()
    for sample in samples:
        score = sample.scores.get(scorer)
        if score is None:
            raise UserError(f"{path / SAMPLES}: a sample has no verdict by {escape(scorer)}; evaluate again")
        total[sample.problem_id] += 1
        correct[sample.problem_id] += score.correct
    if unfinished := [name for name, count in total.items() if count != n]:
        detail = f"problem {escape(unfinished[0])} has {total[unfinished[0]]} samples, not {n}"
        raise UserError(f"--compare: {path} is not a finished evaluation ({detail}); finish it with --resume")
    if len({sample.key for sample in samples}) < len(samples):
        raise UserError(f"{path / SAMPLES}: duplicate sample; evaluate again")
    if not total:
        raise UserError(
            f"--compare: {path} is not a finished evaluation (no samples); finish it with --resume"
        )
    return dict(correct)
