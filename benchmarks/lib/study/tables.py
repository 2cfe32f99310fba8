"""The entropy study's tables in Markdown, made from study.json. Intervals are Student's, 95 %, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.lib.study.results import PASSES, K, estimate

Result = Mapping[str, Any]  # study.json


def tables(result: Result) -> list[str]:
    """Arms, differences, correlations, and pushes and kinds of problems where those were asked for."""
    made = [arms(result), differences(result), correlations(result)]
    return [*made, *([pushes(result)] if result["pushes"] else []), kinds(result)]


def arms(result: Result) -> str:
    """Where each arm ends, and the base model."""
    base = result["base"]
    rows = [["base model", f"{base['pass_1']:.3f}", f"{base['pass_k']:.3f}", "", "", "", ""]]
    for arm in result["arms"]:
        runs = [run for run in result["runs"] if run["arm"] == arm]
        rescued, kept, steps = (
            fmean(run[name] for run in runs) for name in ("rescued", "retained", "optimizer_steps")
        )
        rows.append(
            [
                arm,
                *(str(estimate([run[name] for run in runs])) for name in ("pass_1", "pass_k")),
                str(estimate([run["entropy_last"] / run["entropy_first"] for run in runs])),
                f"{rescued:.0f}" if rescued else "",
                f"{kept:.0%}",
                f"{steps:.0f}",
            ]
        )
    return _table(
        ["", "Pass@1", f"Pass@{K}", "entropy, last / first", "rescued", "retained", "optimizer steps"], rows
    )


def differences(result: Result) -> str:
    """Paired by seed, with the ratio of gains over the base model where both arms ended."""
    compared = result["comparisons"]
    rows = []
    for name, found in compared.items():
        if " - " in name:
            arm, other = name.split(" - ")
            ratio = compared.get(f"gain of {arm} / gain of {other}")
            gain = "" if ratio is None else f"{ratio:.2f}"
            rows.append([name, *(_signed(found[number]) for number in ("pass_1", "pass_k")), gain])
    return _table(["difference", "Pass@1", f"Pass@{K}", "gains in Pass@1, ratio"], rows)


def correlations(result: Result) -> str:
    """Of predicted with measured changes of entropy, by arm."""
    rows = []
    for arm in result["arms"]:
        found = [
            result["comparisons"].get(f"{arm}: predicted and measured entropy change, {what}s")
            for what in PASSES
        ]
        rows.append([arm, *("" if one is None else _signed(one["correlation"]) for one in found)])
    return _table(["correlation of predicted with measured", *(f"{what}s" for what in PASSES)], rows)


def pushes(result: Result) -> str:
    """What probe steps from one source did to entropy."""
    rows = [
        [
            source,
            states,
            f"{one['probes_up']} of {one['probes']}",
            f"{one['seeds_up']} of {one['seeds']}",
            _signed({end: value * 1e4 for end, value in one["change"].items()}, digits=1),
        ]
        for source, by_states in result["pushes"].items()
        for states, one in by_states.items()
    ]
    return _table(
        ["step on", "measured on", "probes that rise", "seeds that rise", "mean change, 1e-4 nats"], rows
    )


def kinds(result: Result) -> str:
    """What policies do by kind of problem: Pass@1 and Pass@K."""
    finals = result["finals"]
    rows = [
        [
            kind.replace("_", " "),
            *(
                f"{one['kinds'][kind]['pass_1']:.2f} / {one['kinds'][kind]['pass_k']:.2f}"
                for one in finals.values()
            ),
        ]
        for kind in finals["base"]["kinds"]
    ]
    return _table([f"Pass@1 / Pass@{K}", *finals], rows)


def _signed(one: Mapping[str, float], digits: int = 3) -> str:
    return f"{one['mean']:+.{digits}f} [{one['low']:+.{digits}f}, {one['high']:+.{digits}f}]"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
