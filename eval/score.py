"""python eval/score.py --responses FILE --data DIR --out DIR: scores responses sampled by another program.

FILE is MathVista's official output, JSON lines, or the samples.jsonl of an evaluation. DIR is a data set, or
MathVista's testmini.json (without pictures). The output files are those of eval/passk.py.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's path does not include the repository root

from eval.arguments import K_HELP, add_scorer_arguments, check_seed, resolve_ks
from eval.mathvista import official_score
from eval.provenance import read_preparation
from eval.responses import GivenResponse, read_extractions, read_responses, read_testmini
from eval.results import write_results
from eval.samples import OFFICIAL, Sample
from eval.scorers import Scorer, make_scorers, score_response, scorer_fingerprints
from eval.store import SampleStore
from vlm_uec.cli import exit_code_of
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.data.dataset import data_fingerprint, load_problems
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.digest import file_sha256
from vlm_uec.io.disk_space import check_writable, translate_write_errors
from vlm_uec.types import Problem
from vlm_uec.verifier import Strictness

_SETTINGS = ("seed", "template", "reward", "mathruler", "thinking", "statements")
Extractions = Mapping[tuple[str, int], str]  # by problem id and index


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Scores responses sampled by another program.")
    parser.add_argument("--responses", type=Path, required=True, help="official JSON, or JSON lines")
    parser.add_argument("--data", required=True, help="data set directory or Hub id, or testmini.json")
    parser.add_argument("--split", default="test")
    parser.add_argument("--extractions", type=Path, help="MathVista's official extractions, by pid")
    parser.add_argument("--out", type=Path, required=True, help="directory for samples, summary and page")
    parser.add_argument("--k", type=int, nargs="+", help=K_HELP.replace("--n", "the number of samples"))
    parser.add_argument("--template", help="format prompt used for sampling, if it lists choices")
    add_scorer_arguments(parser)
    parser.add_argument("--seed", type=int, default=1, help="seed of the bootstrap")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    if SampleStore(arguments.out).exists:
        raise UserError(f"--out {arguments.out}: contains an evaluation; choose another")
    check_seed(arguments.seed)
    check_writable(arguments.out, "--out")
    prompt_text = FormatPrompt(arguments.template) if arguments.template else None
    given = read_responses(arguments.responses)
    known = {problem.id: problem for problem in _problems(arguments)}
    n = _samples_per_problem(given, known)
    ks = resolve_ks(arguments.k, n)
    answered = {response.problem_id for response in given}
    problems = {name: problem for name, problem in known.items() if name in answered}
    extractions = _extractions(arguments, given)
    scorers = make_scorers(
        problems.values(),
        prompt_text,
        arguments.reward,
        mathruler=arguments.mathruler,
        strictness=Strictness(arguments.thinking, arguments.statements),
    )
    samples = _score_all(given, problems, scorers, extractions)
    metadata = _metadata(arguments, known, len(known) - len(problems), n, ks)
    if OFFICIAL in scorers:
        metadata["settings"]["extractions"] = _extraction_source(arguments, extractions, len(samples))
    with translate_write_errors(arguments.out, "--out", "run it again"):
        arguments.out.mkdir(parents=True, exist_ok=True)
        SampleStore(arguments.out).finish(samples)
        report = write_results(arguments.out, metadata, problems, samples, prompt_text)
    print(report)


def _problems(arguments: argparse.Namespace) -> Sequence[Problem]:
    if arguments.data.endswith(".json"):
        return read_testmini(Path(arguments.data))
    return load_problems(arguments.data, arguments.split).problems


def _samples_per_problem(given: Sequence[GivenResponse], problems: Mapping[str, Problem]) -> int:
    """The number of responses per problem. Raises UserError if it differs between problems."""
    counts = Counter(response.problem_id for response in given)
    if unknown := [name for name in counts if name not in problems]:
        raise UserError(
            f"--responses: {len(unknown)} problems are not in --data, "
            f"first {escape(unknown[0])}; give their data set"
        )
    (first, n), *others = counts.items()
    for name, count in others:
        if count != n:
            raise UserError(
                f"--responses: {escape(first)} has {n} of them and {escape(name)} {count}; "
                "give the same number for each"
            )
    return n


def _extractions(arguments: argparse.Namespace, given: Sequence[GivenResponse]) -> Extractions:
    """Extractions for `official` to use instead of ours: from --extractions, else from --responses.

    Raises UserError if they belong to other responses.
    """
    if arguments.extractions is None:
        return {_key(response): response.extraction for response in given if response.extraction is not None}
    found = read_extractions(arguments.extractions)
    if len(given) > len({response.problem_id for response in given}):
        raise UserError(
            "--extractions: one per problem, but problems have several responses; give one response each"
        )
    used = {}
    for response in given:
        if (extraction := found.get(response.problem_id)) is None:
            continue
        if extraction.response not in (None, response.text):
            name = escape(response.problem_id)
            raise UserError(
                f"--extractions: {name} has another response there; give the extractions of --responses"
            )
        used[_key(response)] = extraction.text
    return used


def _key(response: GivenResponse) -> tuple[str, int]:
    return response.problem_id, response.index


def _extraction_source(
    arguments: argparse.Namespace, extractions: Extractions, responses: int
) -> dict[str, Any]:
    """The source and number of the extractions that `official` used, so that the result can be traced."""
    source = arguments.extractions or arguments.responses
    return {
        "path": str(source) if extractions else None,
        "fingerprint": file_sha256(source) if extractions else None,
        "used": len(extractions),
        "own": responses - len(extractions),
    }


def _score_all(
    given: Sequence[GivenResponse],
    problems: Mapping[str, Problem],
    scorers: Mapping[str, Scorer],
    extractions: Extractions,
) -> list[Sample]:
    """The scored samples, in order of problem and index."""
    position = {name: number for number, name in enumerate(problems)}
    return [
        _sample(response, problems[response.problem_id], scorers, extractions)
        for response in sorted(given, key=lambda response: (position[response.problem_id], response.index))
    ]


def _sample(
    response: GivenResponse, problem: Problem, scorers: Mapping[str, Scorer], extractions: Extractions
) -> Sample:
    scores = score_response(scorers, response.text, problem)
    extraction = extractions.get(_key(response))
    if OFFICIAL in scores and extraction is not None:
        scores[OFFICIAL] = official_score(problem, response.text, extraction)
    return Sample(problem.id, response.index, response.text, response.tokens, response.truncated, scores)


def _metadata(
    arguments: argparse.Namespace, known: Mapping[str, Problem], unanswered: int, n: int, ks: Sequence[int]
) -> dict[str, Any]:
    fingerprint = data_fingerprint(known.values())
    settings = {name: getattr(arguments, name) for name in _SETTINGS}
    return {
        "settings": {
            "n": n,
            "k": list(ks),
            **settings,
            **scorer_fingerprints(arguments.reward, arguments.mathruler),
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
            "prepared": read_preparation(arguments.data, arguments.split, fingerprint),
        },
        "versions": {name: version(name) for name in ("numpy", "vlm-uec")},
    }


def main() -> int:
    arguments = parse_arguments()
    return exit_code_of(lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
