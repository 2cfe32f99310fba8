"""The prompts a run may use: measured once at the start, encoded on demand."""

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
    """Measures every problem on one rank of each machine; leaves out, with a count, what cannot be a prompt.

    Every machine measures all of them, so that each caches every resized picture. Raises `UserError` when
    nothing is left.
    """
    here = local_ranks()
    mine = problems[here.index(rank()) :: len(here)]
    tokens: dict[str, int] = {}
    rejected: Counter[str] = Counter()
    for machine, lengths, reasons in gather_objects((here[0], *_survey(mine, encoder))):
        tokens |= lengths
        rejected += reasons if machine == 0 else Counter()
    encoder.pictures.share()
    usable = {problem.id: problem for problem in problems if problem.id in tokens}
    if not usable:
        listed = ", ".join(f"{reason}: {count}" for reason, count in rejected.most_common())
        raise UserError(
            f"no usable prompt of {len(problems)} ({listed}): mend the data or prompt.template, or raise "
            "data.max_prompt_tokens"
        )
    return PromptSet(usable, tokens, encoder, rejected)


def _survey(problems: Sequence[Problem], encoder: PromptEncoder) -> tuple[dict[str, int], Counter[str]]:
    tokens: dict[str, int] = {}
    rejected: Counter[str] = Counter()
    for problem in problems:
        try:
            tokens[problem.id] = encoder.length(problem)
        except PromptRejected as error:
            rejected[str(error)] += 1
    return tokens, rejected
