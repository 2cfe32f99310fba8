"""Scores of the tiny model by kind and level of problem, for its model card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vlm_uec.data.encode import PromptEncoder
from vlm_uec.rollout.engine import Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.types import EncodedPrompt, Group, Problem
from vlm_uec.verifier import verify

MAX_RESPONSE_TOKENS = 96


@dataclass(frozen=True)
class Score:
    """Scores of one kind, or one level: fractions of correct responses."""

    name: str
    level: int
    problems: int
    greedy: float
    sampled: float  # at temperature 1
    solved: float  # fraction of problems with a correct sample


def sample(
    engine: NativeEngine, prompts: Sequence[EncodedPrompt], count: int, temperature: float
) -> list[Group]:
    sampling = Sampling(temperature, top_p=1.0, max_tokens=MAX_RESPONSE_TOKENS)
    requests = [Request(prompt, range(count), sampling) for prompt in prompts]
    return engine.generate(requests, StreamKey(seed=1, step=0), lambda progress: None)


def verify_responses(encoder: PromptEncoder, group: Group, problem: Problem) -> list[bool]:
    texts = [encoder.tokenizer.decode(one.tokens, skip_special_tokens=True) for one in group.responses]
    return [verify(str(text), problem.answer, precision=problem.precision).correct for text in texts]


def evaluate(
    engine: NativeEngine, encoder: PromptEncoder, problems: Sequence[Problem], samples: int
) -> list[Score]:
    """Scores by kind, then by level."""
    prompts = [encoder(problem) for problem in problems]
    greedy = sample(engine, prompts, 1, 0.0)
    sampled = sample(engine, prompts, samples, 1.0)
    rows = [
        _ProblemResult(
            problem, verify_responses(encoder, one, problem)[0], verify_responses(encoder, many, problem)
        )
        for problem, one, many in zip(problems, greedy, sampled, strict=True)
    ]
    kinds = sorted({(row.level, row.kind) for row in rows})
    by_kind = [_score(kind, [row for row in rows if row.kind == kind]) for _, kind in kinds]
    levels = sorted({row.level for row in rows})
    return by_kind + [_score("all kinds", [row for row in rows if row.level == level]) for level in levels]


@dataclass(frozen=True)
class _ProblemResult:
    problem: Problem
    greedy: bool
    sampled: list[bool]

    @property
    def kind(self) -> str:
        return str(self.problem.metadata["kind"])

    @property
    def level(self) -> int:
        return int(self.problem.metadata["level"])


def _score(name: str, rows: Sequence[_ProblemResult]) -> Score:
    count = len(rows)
    greedy = sum(row.greedy for row in rows) / count
    sampled = sum(sum(row.sampled) / len(row.sampled) for row in rows) / count
    solved = sum(any(row.sampled) for row in rows) / count
    return Score(name, rows[0].level, count, greedy, sampled, solved)


def table(scores: Iterable[Score]) -> str:
    lines = ["| kind | level | problems | greedy | t = 1 | any |", "| --- | --- | --- | --- | --- | --- |"]
    for s in scores:
        lines.append(
            f"| {s.name} | {s.level} | {s.problems} | {s.greedy:.2f} | {s.sampled:.2f} | {s.solved:.2f} |"
        )
    return "\n".join(lines)
