"""The usable prompts of a run: their lengths are computed at the start, and they are encoded on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.errors import UserError
from vlm_uec.ranks.collectives import gather_objects, local_ranks, rank
from vlm_uec.types import EncodedPrompt, Problem


@dataclass(frozen=True)
class PromptSet:
    """Usable problems by id, their prompt lengths, and an encoder for them."""

    problems: Mapping[str, Problem]
    tokens: Mapping[str, int]
    encoder: PromptEncoder
    rejected: Counter[str]

    def encode(self, problem_id: str) -> EncodedPrompt:
        return self.encoder(self.problems[problem_id])


def prepare_prompts(problems: Sequence[Problem], encoder: PromptEncoder) -> PromptSet:
    """Computes the prompt length of every problem; rejects and counts those that cannot be a prompt.

    The ranks of a machine divide the problems among them. Every machine processes all problems, so that each
    caches every resized picture. Raises `UserError` if no problem is usable.
    """
    machine_ranks = local_ranks()
    own_problems = problems[machine_ranks.index(rank()) :: len(machine_ranks)]
    tokens: dict[str, int] = {}
    rejected: Counter[str] = Counter()
    results = gather_objects((machine_ranks[0], *_measure(own_problems, encoder)))
    for first_rank, lengths, reasons in results:
        tokens |= lengths
        rejected += reasons if first_rank == 0 else Counter()
    encoder.pictures.share()
    usable = {problem.id: problem for problem in problems if problem.id in tokens}
    if not usable:
        listed = ", ".join(f"{reason}: {count}" for reason, count in rejected.most_common())
        raise UserError(
            f"no usable prompt of {len(problems)} ({listed}): fix the data or prompt.template, or raise "
            "data.max_prompt_tokens"
        )
    return PromptSet(usable, tokens, encoder, rejected)


def _measure(problems: Sequence[Problem], encoder: PromptEncoder) -> tuple[dict[str, int], Counter[str]]:
    """Tokens by problem id, and the number of rejected problems by reason."""
    tokens: dict[str, int] = {}
    rejected: Counter[str] = Counter()
    for problem in problems:
        try:
            tokens[problem.id] = encoder.length(problem)
        except PromptRejected as error:
            rejected[str(error)] += 1
    return tokens, rejected
