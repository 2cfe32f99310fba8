"""Outcomes of fuzzed inputs, the findings among them, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_SECONDS = 2.0  # of CPU time
MAX_GROWTH = 512 * 2**20  # bytes of resident memory above that before the first input


@dataclass(frozen=True)
class FuzzOutcome:
    """The outcome of one input."""

    number: int
    result: str  # accepted, refused, raised, died
    seconds: float = 0.0  # of CPU time
    growth: int = 0  # bytes
    detail: str = ""


@dataclass
class FuzzReport:
    """The outcomes of all inputs of a kind."""

    kind: str
    seed: int
    outcomes: list[FuzzOutcome] = field(default_factory=list)

    def count(self, result: str) -> int:
        return sum(outcome.result == result for outcome in self.outcomes)

    @property
    def slow(self) -> list[FuzzOutcome]:
        return [outcome for outcome in self.outcomes if outcome.seconds > MAX_SECONDS]

    @property
    def large(self) -> list[FuzzOutcome]:
        return [outcome for outcome in self.outcomes if outcome.growth > MAX_GROWTH]

    @property
    def findings(self) -> list[FuzzOutcome]:
        failed = [outcome for outcome in self.outcomes if outcome.result in ("raised", "died")]
        return sorted({*failed, *self.slow, *self.large}, key=lambda outcome: outcome.number)


def print_reports(reports: Sequence[FuzzReport]) -> None:
    """A table; then the findings, grouped by location, each with the command that repeats it."""
    columns = ["inputs", "accepted", "refused", "raised", "died", f"over {MAX_SECONDS:g} s", "over memory"]
    print("".join(f"{name:>12}" for name in ["", *columns, "slowest ms", "peak MiB"]))
    for report in reports:
        slowest = max(outcome.seconds for outcome in report.outcomes)
        peak = max(outcome.growth for outcome in report.outcomes)
        counts = [len(report.outcomes), *map(report.count, ("accepted", "refused", "raised", "died"))]
        counts += [len(report.slow), len(report.large), round(1000 * slowest), peak >> 20]
        print("".join(f"{value:>12}" for value in [report.kind, *counts]))
    print(f"peak: memory above that before the first input; {MAX_GROWTH >> 20} MiB are allowed")
    for report in reports:
        _print_findings(report)


def _print_findings(report: FuzzReport) -> None:
    by_location: dict[str, list[FuzzOutcome]] = {}
    for outcome in report.findings:
        by_location.setdefault(f"{outcome.result} {outcome.detail.partition(': ')[0]}", []).append(outcome)
    for outcomes in by_location.values():
        first = outcomes[0]
        cost = f"{first.seconds:.2f} s, {first.growth >> 20} MiB"
        print(f"{len(outcomes)} x {first.result}, {cost}: {first.detail}")
        options = f"{report.kind} --seed {report.seed} --only {first.number}"
        print(f"  python benchmarks/robustness/fuzz_inputs.py {options}")
