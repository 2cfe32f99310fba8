"""Where time went, of several runs: a bar each under its name, of the phases' means."""

from __future__ import annotations

import re
from pathlib import Path

from tests.report.test_report import ATTACK, Tags
from vlm_uec.report.page import MAX_RUNS
from vlm_uec.report.runs import RunData
from vlm_uec.report.times import time_cards


def run_of(name: str, *seconds: dict[str, float]) -> RunData:
    rows = [
        {"step": step, **{f"time/{phase}": value for phase, value in of_step.items()}}
        for step, of_step in enumerate(seconds, 1)
    ]
    return RunData(name, Path(), rows, {}, (), ())


def bars_of(card: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Of each bar its name, how long it took, and its parts: width, what it tells."""
    bars = re.findall('class="spent">(.*?)</div></div>', card)
    return [
        (*re.findall("<(?:span|b)>(.*?)</", bar), re.findall('width:(.*?);.*?title="(.*?)"', bar))
        for bar in bars
    ]


def test_a_bar_is_as_long_as_its_step_and_its_parts_as_their_phases() -> None:
    """Means of `slow`: 30 s of rollout, and 10 s of update, which its second step did without; a fifth of
    `quick`'s 20 s is rollout. 40 s fill the card."""
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


def test_every_run_is_named_however_many_there_are_and_however_long_their_names() -> None:
    names = [f"{number:02d}_" + "a_long_name_" * 6 for number in range(MAX_RUNS)]
    (card,) = time_cards([run_of(name, {"rollout": 1.0}) for name in names])
    assert [name for name, _, _ in bars_of(card)] == names


def test_a_name_is_no_markup_and_runs_without_times_have_no_card() -> None:
    (card,) = time_cards([run_of(ATTACK, {"rollout": 1.0}), run_of("b", {"rollout": 1.0})])
    assert {tag for tag, _ in Tags(card).seen} == {"div", "h3", "span", "b", "i"}
    assert time_cards([run_of("a", {}), run_of("b", {})]) == []
