"""MathVista's result format, for its scripts: a JSON object that maps pid to record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eval.mathvista import normalise
from eval.samples import OFFICIAL, Sample
from vlm_uec.data.validation import IMAGE_MARK
from vlm_uec.types import Problem

OFFICIAL_FILE = "mathvista_output.json"
_ADDED = ("pid", "unit", "picture")  # metadata fields that data_prep adds to the published ones


def official_records(problems: Mapping[str, Problem], samples: Iterable[Sample]) -> dict[str, dict[str, Any]]:
    """The first response to each problem with the official verdict; empty if the data is not MathVista."""
    return {
        str(problems[sample.problem_id].metadata["pid"]): _record(problems[sample.problem_id], sample)
        for sample in samples
        if sample.index == 0 and OFFICIAL in sample.scores
    }


def _record(problem: Problem, sample: Sample) -> dict[str, Any]:
    verdict = sample.scores[OFFICIAL]
    extraction = verdict.extracted or ""
    return {
        "pid": str(problem.metadata["pid"]),
        "query": problem.question.removeprefix(IMAGE_MARK),
        "choices": list(problem.choices) or None,
        "unit": problem.metadata.get("unit"),
        "precision": problem.precision,
        "answer": problem.answer,
        "question_type": problem.question_type,
        "answer_type": problem.answer_type,
        "metadata": {name: value for name, value in problem.metadata.items() if name not in _ADDED},
        "response": sample.text,
        "extraction": extraction,
        "prediction": normalise(extraction, problem),
        "true_false": verdict.correct,
    }
