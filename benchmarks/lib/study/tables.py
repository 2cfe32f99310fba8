"""The entropy study's tables in Markdown, from study.json. Intervals are Student's, 95 %, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.lib.study.results import UPDATE_KINDS, K, estimate

Study = Mapping[str, Any]  # study.json


def tables(study: Study) -> list[str]:
    """Arms, differences, correlations, effects of probes (if the study has probes), and kinds of problems."""
    probes = [probe_table(study)] if study["pushes"] else []
    return [arm_table(study), difference_table(study), correlation_table(study), *probes, kind_table(study)]


def arm_table(study: Study) -> str:
    """Final scores of each arm and of the base model."""
    base = study["base"]
    rows = [["base model", f"{base['pass_1']:.3f}", f"{base['pass_k']:.3f}", "", "", "", ""]]
    for arm in study["arms"]:
        runs = [run for run in study["runs"] if run["arm"] == arm]
        rescued, retained, steps = (
            fmean(run[name] for run in runs) for name in ("rescued", "retained", "optimizer_steps")
        )
        rows.append(
            [
                arm,
                *(str(estimate([run[name] for run in runs])) for name in ("pass_1", "pass_k")),
                str(estimate([run["entropy_last"] / run["entropy_first"] for run in runs])),
                f"{rescued:.0f}" if rescued else "",
                f"{retained:.0%}",
                f"{steps:.0f}",
            ]
        )
    return _table(
        ["", "Pass@1", f"Pass@{K}", "entropy, last / first", "rescued", "retained", "optimizer steps"], rows
    )


def difference_table(study: Study) -> str:
    """Differences paired by seed; for final scores also the ratio of gains over the base model."""
    compared = study["comparisons"]
    rows = []
    for name, found in compared.items():
        if " - " in name:
            arm, other = name.split(" - ")
            ratio = compared.get(f"gain of {arm} / gain of {other}")
            gain = "" if ratio is None else f"{ratio:.2f}"
            rows.append([name, *(_signed(found[number]) for number in ("pass_1", "pass_k")), gain])
    return _table(["difference", "Pass@1", f"Pass@{K}", "gains in Pass@1, ratio"], rows)


def correlation_table(study: Study) -> str:
    """Correlation of predicted with measured entropy changes, by arm."""
    rows = []
    for arm in study["arms"]:
        found = [
            study["comparisons"].get(f"{arm}: predicted and measured entropy change, {kind}s")
            for kind in UPDATE_KINDS
        ]
        rows.append([arm, *("" if one is None else _signed(one["correlation"]) for one in found)])
    return _table(["correlation of predicted with measured", *(f"{kind}s" for kind in UPDATE_KINDS)], rows)


def probe_table(study: Study) -> str:
    """Entropy changes by probe steps, by source."""
    rows = [
        [
            source,
            states,
            f"{one['probes_up']} of {one['probes']}",
            f"{one['seeds_up']} of {one['seeds']}",
            _signed({end: value * 1e4 for end, value in one["change"].items()}, digits=1),
        ]
        for source, by_states in study["pushes"].items()
        for states, one in by_states.items()
    ]
    return _table(
        ["step on", "measured on", "probes that rise", "seeds that rise", "mean change, 1e-4 nats"], rows
    )


def kind_table(study: Study) -> str:
    """Pass@1 and Pass@K by kind of problem."""
    finals = study["finals"]
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
