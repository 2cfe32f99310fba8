"""Collects the statistics of a split problem by problem, without keeping pixels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from data_prep.inspect.prompt_length import PromptTokenCounter
from vlm_uec.data.answer_form import answer_form
from vlm_uec.data.answers import READ_FROM
from vlm_uec.data.dataset import LoadedSplit
from vlm_uec.data.decode import PictureError, decode_image
from vlm_uec.data.encode import PromptRejected
from vlm_uec.data.validation import IMAGE_MARK
from vlm_uec.types import Problem


@dataclass(frozen=True)
class StoredPicture:
    """A picture's size, and a hash of its pixels, which does not depend on the file format."""

    width: int
    height: int
    key: bytes


@dataclass(frozen=True)
class ProblemStats:
    """Statistics of one problem."""

    id: str
    question_key: bytes  # ignores whitespace and case
    answer_key: bytes
    answer_form: str
    answer_read_from: str  # the form in the data set
    question_type: str
    answer_type: str
    pictures: tuple[StoredPicture, ...]
    prompt_tokens: int | None  # None: no model was given


@dataclass(frozen=True)
class SplitStats:
    """The problems that training would use, and the number of rejected ones by reason."""

    name: str
    problems: tuple[ProblemStats, ...]
    left_out: Counter[str]
    broken: tuple[str, ...]  # ids of problems with a picture that does not decode


class _Rejected(Exception):
    """The problem cannot be used; the message is the reason, under which it is counted."""


class _Undecodable(_Rejected):
    """A picture of the problem cannot be decoded."""


def scan_split(name: str, split: LoadedSplit, count_tokens: PromptTokenCounter | None) -> SplitStats:
    """Decodes every picture of the split, one problem at a time."""
    left_out = Counter(split.rejected)
    problems, broken = [], []
    for problem in tqdm(split.problems, name, unit=" problems", disable=None):
        try:
            problems.append(_problem_stats(problem, count_tokens))
        except _Rejected as reason:
            left_out[str(reason)] += 1
            if isinstance(reason, _Undecodable):
                broken.append(problem.id)
    return SplitStats(name, tuple(problems), left_out, tuple(broken))


def _problem_stats(problem: Problem, count_tokens: PromptTokenCounter | None) -> ProblemStats:
    pictures = tuple(_stored_picture(data) for data in problem.images)
    return ProblemStats(
        id=problem.id,
        question_key=_text_key(problem.question.replace(IMAGE_MARK, " ")),
        answer_key=_text_key(problem.answer),
        answer_form=answer_form(problem.answer),
        answer_read_from=str(problem.metadata.get(READ_FROM, "plain text")),
        question_type=problem.question_type,
        answer_type=problem.answer_type,
        pictures=pictures,
        prompt_tokens=_prompt_tokens(problem, pictures, count_tokens),
    )


def _stored_picture(data: bytes) -> StoredPicture:
    try:
        image = decode_image(data)
    except PictureError as error:
        raise _Undecodable(error.reason) from error
    digest = hashlib.blake2b(f"{image.width}x{image.height}".encode(), digest_size=16)
    digest.update(image.tobytes())
    return StoredPicture(image.width, image.height, digest.digest())


def _prompt_tokens(
    problem: Problem, pictures: Sequence[StoredPicture], count_tokens: PromptTokenCounter | None
) -> int | None:
    if count_tokens is None:
        return None
    try:
        return count_tokens(problem, [(picture.width, picture.height) for picture in pictures])
    except PromptRejected as error:
        raise _Rejected(str(error)) from error


def _text_key(text: str) -> bytes:
    return hashlib.blake2b(" ".join(text.split()).casefold().encode(), digest_size=16).digest()
