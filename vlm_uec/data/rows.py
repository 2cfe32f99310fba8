"""Parses table rows into `Problem`s: the column schemas and the checks of their values.

Two schemas are supported. Ours, which EasyR1 also uses, has `images`, `problem` and `answer`. veRL's has
`images`, `prompt` (chat messages) and `reward_model` (with `ground_truth`). Pictures are bytes inside the
row; a path beside them is never opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from vlm_uec.data.answers import READ_FROM, AnswerText, read_answer
from vlm_uec.data.validation import IMAGE_MARK, MAX_TEXT_CHARACTERS, InvalidRow, problem_defect
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.types import Problem

COLUMNS = ("images", "problem", "answer")
VERL_COLUMNS = ("images", "prompt", "reward_model")
OPTIONAL_COLUMNS = ("id", "choices", "precision", "question_type", "answer_type", "source", "metadata")
VERL_OPTIONAL_COLUMNS = ("data_source", "extra_info", *OPTIONAL_COLUMNS)
MAX_DEPTH = 32  # `json` can read deeper nesting than it can write; its limit depends on the call stack
# veRL selects its reward function by `data_source`. Keys: our names; values: veRL's names.
VERL_SOURCES = {"geometry3k": "hiyouga/geometry3k"}


@dataclass(frozen=True)
class RejectedRow:
    """A rejected row: index in the split, id (or ""), reason, and the start of the value at fault."""

    row: int  # from 0, as in `datasets`
    id: str
    reason: str
    detail: str = ""


def choose_columns(present: Iterable[str], where: str) -> list[str]:
    """The columns that `parse_problem` reads. Raises UserError if a required one is missing."""
    present = list(present)
    is_verl = {"prompt", "reward_model"} <= set(present) and not {"problem", "answer"} & set(present)
    required, optional = (VERL_COLUMNS, VERL_OPTIONAL_COLUMNS) if is_verl else (COLUMNS, OPTIONAL_COLUMNS)
    require_columns(required, present, where)
    return [column for column in (*required, *optional) if column in present]


def require_columns(required: Iterable[str], present: Iterable[str], where: str) -> None:
    """Raises UserError, naming the first missing column, unless all are present."""
    present = list(present)
    for column in required:
        if column not in present:
            found = escape(str(present), 300)
            raise UserError(
                f"{where}: column '{column}' is missing, found {found}; rename or rebuild the dataset"
            )


def parse_problems(
    rows: Iterable[Mapping[str, Any]],
    parse: Callable[[Mapping[str, Any]], Problem] | None = None,
    row_id: Callable[[Mapping[str, Any]], str] | None = None,
) -> Iterator[Problem | RejectedRow]:
    """Parses the rows of a split in order. A row that is invalid or repeats an id becomes a `RejectedRow`.

    `parse` raises InvalidRow; the default is `parse_problem`. `row_id` returns the id of a rejected row, or
    ""; the default is the column `id`.
    """
    parse, row_id = parse or parse_problem, row_id or _row_id
    ids: set[str] = set()
    for number, row in enumerate(rows):
        try:
            problem = parse(row)
            if problem.id in ids:
                raise InvalidRow("duplicate id", problem.question)
        except InvalidRow as fault:
            yield RejectedRow(number, row_id(row), fault.reason, fault.detail)
            continue
        ids.add(problem.id)
        yield problem


def parse_problem(row: Mapping[str, Any]) -> Problem:
    """The problem of a row; without `id`, its id is a hash of its content. Raises InvalidRow."""
    images = _images(row["images"])
    if "problem" in row:
        question, answer = _string(row, "problem"), read_answer(row["answer"], "answer")
    else:
        question, answer = _verl_question(row, len(images)), _ground_truth(row["reward_model"])
    metadata = _metadata(row.get("metadata"))
    problem = Problem(
        id=_id(row.get("id")) or _content_id(question, answer.text, images),
        question=question,
        answer=answer.text,
        images=images,
        choices=_choices(row.get("choices")),
        precision=parse_precision(row.get("precision")),
        question_type=_string(row, "question_type", "free_form"),
        answer_type=_string(row, "answer_type", "text"),
        source=_source(row),
        metadata={**metadata, READ_FROM: answer.read_from} if answer.read_from else metadata,
    )
    if fault := problem_defect(problem):
        raise InvalidRow(fault, question)
    return problem


def parse_precision(value: Any) -> int | None:
    """Decimal places, or None. Raises InvalidRow unless it is a whole number from 0 to 15."""
    if value is None:
        return None
    # MathVista stores whole numbers as floats: 1.0
    if isinstance(value, int | float | Decimal) and value in range(16):
        return int(value)
    raise InvalidRow("'precision' is not a whole number from 0 to 15", str(value))


def picture_bytes(item: Any) -> bytes:
    """The encoded bytes of a picture cell, which is `{bytes, path}` or bytes. Raises InvalidRow."""
    content = item.get("bytes") if isinstance(item, dict) else item
    if not isinstance(content, bytes):
        raise InvalidRow("no bytes of the picture (docs/own_data.md)", str(item))
    return content


def _string(row: Mapping[str, Any], column: str, default: str | None = None) -> str:
    value = row.get(column)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise InvalidRow(f"'{column}' is not text" if value is not None else f"'{column}' is null")
    return value


def _id(value: Any) -> str:
    if value is None or isinstance(value, str | int):
        return "" if value is None else str(value)
    raise InvalidRow("'id' is not text")


def _row_id(row: Mapping[str, Any]) -> str:
    value = row.get("id")
    return str(value)[:200] if isinstance(value, str | int) else ""


def _content_id(question: str, answer: str, images: tuple[bytes, ...]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in (question.encode("utf-8", "surrogatepass"), answer.encode("utf-8", "surrogatepass"), *images):
        digest.update(len(part).to_bytes(8, "big"))  # the lengths distinguish ("ab", "c") from ("a", "bc")
        digest.update(part)
    return digest.hexdigest()


def _images(value: Any) -> tuple[bytes, ...]:
    items = [] if value is None else value
    if not isinstance(items, list):
        raise InvalidRow("'images' is not a list")
    return tuple(picture_bytes(item) for item in items)


def _choices(value: Any) -> tuple[str, ...]:
    items = [] if value is None else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InvalidRow("'choices' is not a list of texts")
    return tuple(items)


def _source(row: Mapping[str, Any]) -> str:
    own_names = {verl: own for own, verl in VERL_SOURCES.items()}
    data_source = _string(row, "data_source", "")
    return _string(row, "source", "") or own_names.get(data_source, data_source)


def _metadata(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
        raise InvalidRow(f"text over {MAX_TEXT_CHARACTERS} characters")
    try:
        parsed = json.loads(value) if isinstance(value, str) and value else value or {}
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRow("'metadata' is not a JSON object")
    if not _is_shallow(parsed, MAX_DEPTH):
        raise InvalidRow(f"'metadata' is nested deeper than {MAX_DEPTH}")
    return parsed


def _is_shallow(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_is_shallow(item, depth - 1) for item in inner)


def _verl_question(row: Mapping[str, Any], pictures: int) -> str:
    """`extra_info.question` if it has a mark for every picture, else the text of the last user message."""
    extra = row.get("extra_info")
    question = extra.get("question") if isinstance(extra, dict) else None
    if isinstance(question, str) and question.count(IMAGE_MARK) == pictures:
        return question
    return _last_user_text(row["prompt"])


def _last_user_text(messages: Any) -> str:
    turns = messages if isinstance(messages, list) else []
    contents = [
        turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == "user"
    ]
    content = contents[-1] if contents else None
    if isinstance(content, list):
        content = "".join(map(_part_text, content))
    if not isinstance(content, str):
        raise InvalidRow("'prompt' contains no user message with text")
    return content


def _part_text(part: Any) -> str:
    fields = part if isinstance(part, dict) else {}
    text = fields.get("text")
    return IMAGE_MARK if fields.get("type") == "image" else text if isinstance(text, str) else ""


def _ground_truth(value: Any) -> AnswerText:
    answer = value.get("ground_truth") if isinstance(value, dict) else None
    return read_answer(answer, "reward_model.ground_truth")
