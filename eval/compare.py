"""python eval/passk.py --compare A B …: finished evaluations of the same problems, each against the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.estimators import pass_at_k
from eval.intervals import Interval, paired_intervals
from eval.samples import REWARD, SAMPLES, SUMMARY, Sample, read_samples
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.bounded_json import read_json

# Of no effect on what is compared, or told where it is.
_SAID_ELSEWHERE = ("k", "split", "seed", "slots", "problems", "reward", "reward_fingerprint")


@dataclass(frozen=True)
class Run:
    """What a comparison needs of an evaluation."""

    path: Path
    fingerprint: str  # of the problems
    split: str
    n: int
    ks: tuple[int, ...]
    settings: Mapping[str, Any]
    right: Mapping[str, Mapping[str, int]]  # by scorer and problem id: how many of n


@dataclass(frozen=True)
class Difference:
    """Pass@k of both, their difference (other minus baseline) and its 95 % interval, all in [-1, 1]."""

    k: int
    baseline: float
    other: float
    interval: Interval

    @property
    def value(self) -> float:
        return self.other - self.baseline


@dataclass(frozen=True)
class Contest:
    """One run against the baseline, by one scorer. A problem is won where more of its responses are right."""

    name: str
    scorer: str
    unlike: tuple[str, ...]  # what else the runs differ in, in words
    won: int
    lost: int
    tied: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Comparison:
    baseline: str
    split: str
    problems: int
    contests: tuple[Contest, ...]


def compare(runs: Sequence[Path], seed: int) -> Comparison:
    """Compares each evaluation with the first, by the scorers and for the k that both have.

    A k counts where either run was asked for it and both have as many samples.
    Raises UserError where a directory is no finished evaluation, or of other problems than the first.
    """
    if len(runs) < 2:
        raise UserError("--compare: give two evaluations or more, the baseline first")
    names = _names(runs)
    baseline, *others = [_read_run(path) for path in runs]
    contests = []
    for name, other in zip(names[1:], others, strict=True):
        _check_same_problems(baseline, other)
        contests += [
            _contest(name, scorer, baseline, other, seed) for scorer in _common_scorers(baseline, other)
        ]
    problems = len(next(iter(baseline.right.values())))
    return Comparison(names[0], baseline.split, problems, tuple(contests))


def comparison_table(comparison: Comparison) -> str:
    """For the console, in percent and percentage points."""
    names = escape(comparison.split), escape(comparison.baseline)
    head = "{} problems of {}; baseline: {}".format(comparison.problems, *names)
    return "\n".join([head, *(line for contest in comparison.contests for line in _contest_lines(contest))])


def _contest_lines(contest: Contest) -> Iterable[str]:
    yield ""
    yield f"{escape(contest.name)}, scored by {escape(contest.scorer)}"
    if contest.unlike:
        yield f"  unlike the baseline: {'; '.join(contest.unlike)}"
    yield f"  {'%':<10}{'baseline':>10}{'this run':>10}{'difference':>12}   95 % interval"
    for row in contest.differences:
        low, high = row.interval
        verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
        values = f"{100 * row.baseline:>10.2f}{100 * row.other:>10.2f}{100 * row.value:>+12.2f}"
        yield f"  {f'pass@{row.k}':<10}{values}   {100 * low:+.2f} to {100 * high:+.2f}  {verdict}"
    record = f"{contest.won} won, {contest.lost} lost, {contest.tied} tied"
    yield f"  problems: {record}, by the share of right responses"


def _contest(name: str, scorer: str, baseline: Run, other: Run, seed: int) -> Contest:
    # Sorted, so that a run's order of problems does not move the interval.
    counts = [(c, other.right[scorer][problem]) for problem, c in sorted(baseline.right[scorer].items())]
    leads = [after * baseline.n - before * other.n for before, after in counts]
    ks = sorted(k for k in {*baseline.ks, *other.ks} if k <= min(baseline.n, other.n))
    before = np.array([[pass_at_k(baseline.n, c, k) for k in ks] for c, _ in counts])
    after = np.array([[pass_at_k(other.n, c, k) for k in ks] for _, c in counts])
    means = zip(ks, before.mean(axis=0).tolist(), after.mean(axis=0).tolist(), strict=True)
    intervals = paired_intervals(after - before, seed)
    return Contest(
        name,
        scorer,
        _unlike(baseline, other),
        won=sum(lead > 0 for lead in leads),
        lost=sum(lead < 0 for lead in leads),
        tied=leads.count(0),
        differences=tuple(Difference(*row, interval) for row, interval in zip(means, intervals, strict=True)),
    )


def _unlike(baseline: Run, other: Run) -> tuple[str, ...]:
    settings = [name for name in {**baseline.settings, **other.settings} if name not in _SAID_ELSEWHERE]
    pairs = {name: (baseline.settings.get(name), other.settings.get(name)) for name in settings}
    told = [
        f"{escape(name)} {escape(str(before))}, here {escape(str(now))}"
        for name, (before, now) in pairs.items()
        if before != now
    ]
    if REWARD in baseline.right and REWARD in other.right and not _same_reward(baseline, other):
        told.append("their rewards are two functions, and not compared")
    return tuple(told)


def _check_same_problems(baseline: Run, other: Run) -> None:
    if baseline.fingerprint != other.fingerprint:
        raise UserError(
            f"--compare: {other.path} is of other data ({_data(other)}) than {baseline.path} "
            f"({_data(baseline)}); evaluate both on the same"
        )
    scorers = _common_scorers(baseline, other)
    if not scorers:
        raise UserError(
            f"--compare: {other.path} was scored by {escape(', '.join(other.right))} and {baseline.path} by "
            f"{escape(', '.join(baseline.right))}; evaluate both with the same scorer"
        )
    odd = baseline.right[scorers[0]].keys() ^ other.right[scorers[0]].keys()
    if odd:
        raise UserError(
            f"--compare: {len(odd)} problem{'s' * (len(odd) > 1)}, such as {escape(min(odd))}, in only "
            f"one of {baseline.path} and {other.path}; give runs with responses to the same ones"
        )


def _data(run: Run) -> str:
    problems = len(next(iter(run.right.values())))
    return f"{escape(run.split)}, {problems} problems, {escape(run.fingerprint[:12])}"


def _common_scorers(baseline: Run, other: Run) -> list[str]:
    """Those of both; two rewards are one scorer only where they are one function."""
    same = _same_reward(baseline, other)
    return [name for name in baseline.right if name in other.right and (same or name != REWARD)]


def _same_reward(baseline: Run, other: Run) -> bool:
    return baseline.settings.get("reward_fingerprint") == other.settings.get("reward_fingerprint")


def _names(runs: Sequence[Path]) -> list[str]:
    """Directory names, with as many parents as tell them apart."""
    parts = [path.resolve().parts for path in runs]
    if twice := [path for path, count in Counter(parts).items() if count > 1]:
        raise UserError(f"--compare: {Path(*twice[0])} is given twice; give each evaluation once")
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names


def _read_run(path: Path) -> Run:
    if missing := [name for name in (SUMMARY, SAMPLES) if not (path / name).is_file()]:
        raise UserError(
            f"--compare: {path} is no finished evaluation (no {missing[0]}); finish with --resume"
        )
    data, settings, scorers = _read_summary(path / SUMMARY)
    n, ks = settings["n"], tuple(settings["k"])
    samples = read_samples(path / SAMPLES)
    right = {name: _right(path, samples, name, n) for name in scorers}
    return Run(path, data["fingerprint"], data["split"], n, ks, settings, right)


def _read_summary(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """About the data, the settings, and the scorers."""
    try:
        summary: Any = read_json(path)
        data, settings, scores = summary["data"], summary["settings"], summary["scores"]
        texts, n, ks = (data["fingerprint"], data["split"]), settings["n"], tuple(settings["k"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path}: no summary ({escape(str(error), 120)}); evaluate again") from error
    maps = all(isinstance(part, dict) for part in (data, settings, scores))
    sound = all(isinstance(part, str) for part in texts) and all(type(number) is int for number in (n, *ks))
    if not (maps and sound and scores and ks and min(ks) >= 1 and max(ks) <= n):
        raise UserError(f"{path}: no summary (data, settings or scores are not its own); evaluate again")
    return data, settings, list(scores)


def _right(path: Path, samples: Sequence[Sample], scorer: str, n: int) -> dict[str, int]:
    """Right responses by problem, of exactly n."""
    total: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for sample in samples:
        score = sample.scores.get(scorer)
        if score is None:
            raise UserError(f"{path / SAMPLES}: a sample has no verdict by {escape(scorer)}; evaluate again")
        total[sample.problem_id] += 1
        right[sample.problem_id] += score.correct
    if unfinished := [name for name, count in total.items() if count != n]:
        told = f"problem {escape(unfinished[0])} has {total[unfinished[0]]} samples, not {n}"
        raise UserError(f"--compare: {path} is no finished evaluation ({told}); finish with --resume")
    if len({sample.key for sample in samples}) < len(samples):
        raise UserError(f"{path / SAMPLES}: a sample is there twice; evaluate again")
    if not total:
        raise UserError(f"--compare: {path} is no finished evaluation (no samples); finish with --resume")
    return dict(right)
