"""The prompts a run may use: encoded once at the start to learn what fits, then sampled by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.distributed import gather_objects, rank, world_size
from vlm_uec.errors import UserError
from vlm_uec.keys import keyed_generator
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
    """Encodes every problem on one of the ranks; leaves out, with a count, what cannot be a prompt.

    Raises `UserError` when nothing is left.
    """
    tokens: dict[str, int] = {}
    rejected: Counter[str] = Counter()
    for share in gather_objects(_survey(problems[rank() :: world_size()], encoder)):
        tokens |= share[0]
        rejected += share[1]
    usable = {problem.id: problem for problem in problems if problem.id in tokens}
    if not usable:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in rejected.most_common())
        raise UserError(f"no usable prompt of {len(problems)} ({reasons}); raise data.max_prompt_tokens")
    return PromptSet(usable, tokens, encoder, rejected)


def _survey(problems: Sequence[Problem], encoder: PromptEncoder) -> tuple[dict[str, int], Counter[str]]:
    tokens: dict[str, int] = {}
    rejected: Counter[str] = Counter()
    for problem in problems:
        try:
            tokens[problem.id] = encoder(problem).length
        except PromptRejected as error:
            rejected[str(error)] += 1
    return tokens, rejected


def step_problems(ids: Sequence[str], prompts: int, seed: int, step: int) -> list[str]:
    """The problem ids of a trainer step (1, 2, ...): a function of its arguments alone.

    Every epoch has an order of its own and gives whole steps only; what is left over differs from epoch
    to epoch, and no problem comes twice in a step. Raises `UserError` when there are too few problems.
    """
    steps_an_epoch = len(ids) // prompts
    if steps_an_epoch == 0:
        raise UserError(f"rollout.prompts is {prompts}, but there are {len(ids)} problems; lower it")
    epoch, place = divmod(step - 1, steps_an_epoch)
    order = keyed_generator(seed, "epoch", epoch).permutation(len(ids))
    return [ids[index] for index in order[place * prompts : (place + 1) * prompts]]
