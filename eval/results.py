"""Writes the results of an evaluation: summary, official file, plots and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.console import console_text
from eval.official_file import OFFICIAL_FILE, official_records
from eval.page.evaluation_page import write_page, write_plots
from eval.samples import SUMMARY, Sample
from eval.scorers import PromptText
from eval.store import indented_json
from eval.summary import summarise
from vlm_uec.io.durable import atomic_write
from vlm_uec.types import Problem

PAGE_FILE = "index.html"


def write_results(
    out: Path,
    metadata: Mapping[str, Any],
    problems: Mapping[str, Problem],
    samples: Sequence[Sample],
    prompt_text: PromptText | None = None,
) -> str:
    """Writes the files into `out` and returns the console text.

    `metadata`: the sections of the summary besides the results; its settings include `k` and `seed`.
    `prompt_text`: the prompt of a problem.
    """
    settings = metadata["settings"]
    summary = {**metadata, **summarise(problems, samples, settings["k"], settings["seed"], prompt_text)}
    atomic_write(out / SUMMARY, [indented_json(summary)])
    if records := official_records(problems, samples):
        atomic_write(out / OFFICIAL_FILE, [indented_json(records)])
    write_plots(out, summary, samples)
    write_page(out / PAGE_FILE, summary, problems, samples)
    return f"{console_text(summary)}\npage: {out / PAGE_FILE}"
