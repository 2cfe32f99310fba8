"""Phase times of several runs: one bar per run, made of the mean times of the phases."""

from __future__ import annotations

import re
from pathlib import Path

from tests.report.test_report import ATTACK, Tags
from vlm_uec.report.page import MAX_RUNS
from vlm_uec.report.phase_times import time_cards
from vlm_uec.report.runs import RunData


def run_of(name: str, *seconds: dict[str, float]) -> RunData:
    rows = [
        {"step": step, **{f"time/{phase}": value for phase, value in phases.items()}}
        for step, phases in enumerate(seconds, 1)
    ]
    return RunData(name, Path(), rows, {}, (), ())


def bars_of(card: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """For each bar: name, duration, and (width, tooltip) of its parts."""
    bars = re.findall('class="time-bar">(.*?)</div></div>', card)
    return [
        (*re.findall("<(?:span|b)>(.*?)</", bar), re.findall('width:(.*?);.*?title="(.*?)"', bar))
        for bar in bars
    ]


def test_bar_widths_are_proportional_to_step_and_phase_times() -> None:
    """Means of `slow`: 30 s of rollout and 10 s of update (its second step had no update). One fifth of the
    20 s of `quick` is rollout. 40 s is the full width."""
    runs = [
        run_of("slow", {"rollout": 40.0, "update": 20.0}, {"rollout": 20.0}),
        run_of("quick", {"rollout": 4.0, "update": 16.0}),
        run_of("began"),
    ]
    (card,) = time_cards(runs)
    assert bars_of(card) == [
        ("slow", "40 s", [("75.00%", "rollout 30 s, 75%"), ("25.00%", "update 10 s, 25%")]),
        ("quick", "20 s", [("10.00%", "rollout 4 s, 20%"), ("40.00%", "update 16 s, 80%")]),
        ("began", "–", []),
    ]
    keys = dict(re.findall(r'background:(#\w+)"></i>(\w+)</span>', card))
    fills = re.findall(r'background:(#\w+)" title="(\w+)', card)
    assert list(keys.values()) == ["rollout", "update"]
    assert [(keys[colour], phase) for colour, phase in fills] == [(phase, phase) for _, phase in fills]


def test_all_run_names_are_shown() -> None:
    names = [f"{number:02d}_" + "a_long_name_" * 6 for number in range(MAX_RUNS)]
    (card,) = time_cards([run_of(name, {"rollout": 1.0}) for name in names])
    assert [name for name, _, _ in bars_of(card)] == names


def test_names_are_escaped_and_runs_without_times_have_no_card() -> None:
    (card,) = time_cards([run_of(ATTACK, {"rollout": 1.0}), run_of("b", {"rollout": 1.0})])
    assert {tag for tag, _ in Tags(card).elements} == {"div", "h3", "span", "b", "i"}
    assert time_cards([run_of("a", {}), run_of("b", {})]) == []
