"""Surveys a split problem by problem: keeps what the statistics need, and no pixels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from data_prep.inspect.prompt_length import PromptMeter
from vlm_uec.data.answer_form import answer_form
from vlm_uec.data.dataset import LoadedSplit
from vlm_uec.data.decode import decode_image
from vlm_uec.data.encode import PromptRejected
from vlm_uec.data.validation import IMAGE_MARK
from vlm_uec.types import Problem

BROKEN = "broken picture"


@dataclass(frozen=True)
class StoredPicture:
    """A picture's size and a key that is equal for equal pixels, whatever file they come from."""

    width: int
    height: int
    key: bytes


@dataclass(frozen=True)
class ProblemFacts:
    """What the statistics need of one problem."""

    id: str
    question_key: bytes  # equal for questions that differ in whitespace and case only
    answer_key: bytes
    answer_form: str
    question_type: str
    answer_type: str
    pictures: tuple[StoredPicture, ...]
    prompt_tokens: int | None  # None: no model was named


@dataclass(frozen=True)
class SplitFacts:
    """Problems that training would use, and those it would not, by reason."""

    name: str
    problems: tuple[ProblemFacts, ...]
    left_out: Counter[str]
    broken: tuple[str, ...]  # ids of problems with a picture that does not decode


class _LeftOut(Exception):
    """The reason under which a problem is counted."""


def survey(name: str, split: LoadedSplit, meter: PromptMeter | None) -> SplitFacts:
    """Decodes every picture of the split, one problem at a time."""
    left_out = Counter(split.rejected)
    problems, broken = [], []
    for problem in tqdm(split.problems, name, unit=" problems", disable=None):
        try:
            problems.append(_facts(problem, meter))
        except _LeftOut as reason:
            left_out[str(reason)] += 1
            if str(reason) == BROKEN:
                broken.append(problem.id)
    return SplitFacts(name, tuple(problems), left_out, tuple(broken))


def _facts(problem: Problem, meter: PromptMeter | None) -> ProblemFacts:
    pictures = tuple(_stored_picture(data) for data in problem.images)
    return ProblemFacts(
        id=problem.id,
        question_key=_text_key(problem.question.replace(IMAGE_MARK, " ")),
        answer_key=_text_key(problem.answer),
        answer_form=answer_form(problem.answer),
        question_type=problem.question_type,
        answer_type=problem.answer_type,
        pictures=pictures,
        prompt_tokens=_prompt_tokens(problem, pictures, meter),
    )


def _stored_picture(data: bytes) -> StoredPicture:
    try:
        image = decode_image(data)
    except ValueError as error:
        raise _LeftOut(BROKEN) from error
    digest = hashlib.blake2b(f"{image.width}x{image.height}".encode(), digest_size=16)
    digest.update(image.tobytes())
    return StoredPicture(image.width, image.height, digest.digest())


def _prompt_tokens(
    problem: Problem, pictures: Sequence[StoredPicture], meter: PromptMeter | None
) -> int | None:
    if meter is None:
        return None
    try:
        return meter(problem, [(picture.width, picture.height) for picture in pictures])
    except PromptRejected as error:
        raise _LeftOut(str(error)) from error


def _text_key(text: str) -> bytes:
    return hashlib.blake2b(" ".join(text.split()).casefold().encode(), digest_size=16).digest()
