"""python eval/score.py --responses FILE --data DIR --out DIR: scores responses that others sampled.

FILE is MathVista's official output, a JSON object a line, or a run's own samples.jsonl; DIR is a data set, or
MathVista's testmini.json, which serves without pictures. What it leaves is what eval/passk.py leaves.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file, the repository's root is not on the path

from eval.arguments import K_HELP, check_seed, checked_ks
from eval.mathvista import official_score
from eval.outcome import write_outcome
from eval.provenance import prepared
from eval.responses import GivenResponse, read_extractions, read_responses, read_testmini
from eval.samples import OFFICIAL, Sample
from eval.scorers import Scorer, reward_fingerprint, score, scorers_for
from eval.store import SampleStore
from vlm_uec.cli import exit_code_of
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.data.dataset import data_fingerprint, load_problems
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.digest import file_sha256
from vlm_uec.io.disk_space import check_writable, translate_write_errors
from vlm_uec.types import Problem

_SETTINGS = ("seed", "template", "reward")
Extractions = Mapping[tuple[str, int], str]  # by problem id and index


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Scores responses that others sampled.")
    parser.add_argument("--responses", type=Path, required=True, help="official JSON, or JSON lines")
    parser.add_argument("--data", required=True, help="data set directory or Hub id, or testmini.json")
    parser.add_argument("--split", default="test")
    parser.add_argument("--extractions", type=Path, help="MathVista's official extractions, by pid")
    parser.add_argument("--out", type=Path, required=True, help="directory for samples, summary and page")
    parser.add_argument("--k", type=int, nargs="+", help=K_HELP.replace("--n", "their number"))
    parser.add_argument("--template", help="format prompt they were sampled with, should it list choices")
    parser.add_argument("--reward", help="a third scorer: path/to/file.py:function, right where it gives 1")
    parser.add_argument("--seed", type=int, default=1, help="of the bootstrap")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    if SampleStore(arguments.out).taken:
        raise UserError(f"--out {arguments.out}: holds an evaluation; choose another")
    check_seed(arguments.seed)
    check_writable(arguments.out, "--out")
    shown = FormatPrompt(arguments.template) if arguments.template else None
    given = read_responses(arguments.responses)
    known = {problem.id: problem for problem in _problems(arguments)}
    n = _each(given, known)
    ks = checked_ks(arguments.k, n)
    answered = {response.problem_id for response in given}
    problems = {name: problem for name, problem in known.items() if name in answered}
    extractions = _extractions(arguments, given)
    scorers = scorers_for(problems.values(), shown, arguments.reward)
    samples = _scored(given, problems, scorers, extractions)
    about = _about(arguments, known, len(known) - len(problems), n, ks)
    if OFFICIAL in scorers:
        about["settings"]["extractions"] = _told(arguments, extractions, len(samples))
    with translate_write_errors(arguments.out, "--out", "run it again"):
        arguments.out.mkdir(parents=True, exist_ok=True)
        SampleStore(arguments.out).finish(samples)
        told = write_outcome(arguments.out, about, problems, samples, shown)
    print(told)


def _problems(arguments: argparse.Namespace) -> Sequence[Problem]:
    if arguments.data.endswith(".json"):
        return read_testmini(Path(arguments.data))
    return load_problems(arguments.data, arguments.split).problems


def _each(given: Sequence[GivenResponse], problems: Mapping[str, Problem]) -> int:
    """How many responses each problem has, which must be one number."""
    counts = Counter(response.problem_id for response in given)
    if strange := [name for name in counts if name not in problems]:
        raise UserError(
            f"--responses: {len(strange)} problems are not in --data, first {escape(strange[0])}; give theirs"
        )
    (first, n), *others = counts.items()
    for name, count in others:
        if count != n:
            raise UserError(
                f"--responses: {escape(first)} has {n} of them and {escape(name)} {count}; give each as many"
            )
    return n


def _extractions(arguments: argparse.Namespace, given: Sequence[GivenResponse]) -> Extractions:
    """Of the file named, else those that come with the responses: `official` judges them instead of ours.

    Raises UserError where they are not of these responses.
    """
    if arguments.extractions is None:
        return {_key(response): response.extraction for response in given if response.extraction is not None}
    found = read_extractions(arguments.extractions)
    if len(given) > len({response.problem_id for response in given}):
        raise UserError("--extractions: they are by problem, and each has several responses; give one each")
    used = {}
    for response in given:
        if (extraction := found.get(response.problem_id)) is None:
            continue
        if extraction.response not in (None, response.text):
            name = escape(response.problem_id)
            raise UserError(f"--extractions: {name} has another response there; give those of --responses")
        used[_key(response)] = extraction.text
    return used


def _key(response: GivenResponse) -> tuple[str, int]:
    return response.problem_id, response.index


def _told(arguments: argparse.Namespace, extractions: Extractions, responses: int) -> dict[str, Any]:
    """Which extractions `official` judged, for whom the number is to be traced to them."""
    source = arguments.extractions or arguments.responses
    return {
        "path": str(source) if extractions else None,
        "fingerprint": file_sha256(source) if extractions else None,
        "used": len(extractions),
        "own": responses - len(extractions),
    }


def _scored(
    given: Sequence[GivenResponse],
    problems: Mapping[str, Problem],
    scorers: Mapping[str, Scorer],
    extractions: Extractions,
) -> list[Sample]:
    """In order of problem and index."""
    place = {name: number for number, name in enumerate(problems)}
    return [
        _sample(response, problems[response.problem_id], scorers, extractions)
        for response in sorted(given, key=lambda response: (place[response.problem_id], response.index))
    ]


def _sample(
    response: GivenResponse, problem: Problem, scorers: Mapping[str, Scorer], extractions: Extractions
) -> Sample:
    scores = score(scorers, response.text, problem)
    extraction = extractions.get(_key(response))
    if OFFICIAL in scores and extraction is not None:
        scores[OFFICIAL] = official_score(problem, response.text, extraction)
    return Sample(problem.id, response.index, response.text, response.tokens, response.truncated, scores)


def _about(
    arguments: argparse.Namespace, known: Mapping[str, Problem], unanswered: int, n: int, ks: Sequence[int]
) -> dict[str, Any]:
    fingerprint = data_fingerprint(known.values())
    settings = {name: getattr(arguments, name) for name in _SETTINGS}
    return {
        "settings": {
            "n": n,
            "k": list(ks),
            **settings,
            "reward_fingerprint": reward_fingerprint(arguments.reward),
        },
        "model": {
            "path": f"responses of {arguments.responses}",
            "fingerprint": file_sha256(arguments.responses),
        },
        "data": {
            "path": arguments.data,
            "split": arguments.split,
            "fingerprint": fingerprint,
            "left_out": {"no response": unanswered} if unanswered else {},
            "prepared": prepared(arguments.data, arguments.split, fingerprint),
        },
        "versions": {name: version(name) for name in ("numpy", "vlm-uec")},
    }


def main() -> int:
    arguments = parse_arguments()
    return exit_code_of(lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
