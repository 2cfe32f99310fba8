"""What an evaluation leaves behind, from its samples: summary, console table, plots and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.console import console_text
from eval.official_file import OFFICIAL_FILE, official_records
from eval.page.evaluation_page import write_page, write_plots
from eval.samples import SUMMARY, Sample
from eval.scorers import Shown
from eval.store import json_bytes
from eval.summary import summarise
from vlm_uec.io.durable import atomic_write
from vlm_uec.types import Problem

PAGE = "index.html"


def write_outcome(
    out: Path,
    about: Mapping[str, Any],
    problems: Mapping[str, Problem],
    samples: Sequence[Sample],
    shown: Shown | None = None,
) -> str:
    """What to tell of it. `about`: where the samples come from; its settings have `k` and `seed`. `shown`: a
    problem's prompt."""
    settings = about["settings"]
    summary = {**about, **summarise(problems, samples, settings["k"], settings["seed"], shown)}
    atomic_write(out / SUMMARY, [json_bytes(summary)])
    if records := official_records(problems, samples):
        atomic_write(out / OFFICIAL_FILE, [json_bytes(records)])
    write_plots(out, summary, samples)
    write_page(out / PAGE, summary, problems, samples)
    return f"{console_text(summary)}\npage: {out / PAGE}"
