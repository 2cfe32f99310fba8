"""Parses table rows into `Problem`s: the column schemas and the checks of their values.

Two shapes are read. Ours, which is EasyR1's too, has `images`, `problem` and `answer`. veRL's has `images`,
`prompt` (chat messages) and `reward_model` (with `ground_truth`). Pictures are bytes inside the row; a path
beside them is never opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vlm_uec.data.validation import IMAGE_MARK, MAX_TEXT_CHARACTERS, InvalidRow, problem_defect
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.types import Problem

COLUMNS = ("images", "problem", "answer")
VERL_COLUMNS = ("images", "prompt", "reward_model")
OPTIONAL_COLUMNS = ("id", "choices", "precision", "question_type", "answer_type", "source", "metadata")
VERL_OPTIONAL_COLUMNS = ("data_source", "extra_info", *OPTIONAL_COLUMNS)
MAX_DEPTH = 32  # what `json` can read but not write again depends on how deep the caller is
# veRL picks its reward function by `data_source`: our name on the left, veRL's on the right.
VERL_SOURCES = {"geometry3k": "hiyouga/geometry3k"}


@dataclass(frozen=True)
class RejectedRow:
    """A row left out: its place in the split, its id (empty if it has none), the reason, its own value."""

    row: int  # from 0, as `datasets` counts
    id: str
    reason: str
    detail: str = ""


def wanted_columns(present: Iterable[str], where: str) -> list[str]:
    """Those of a table's columns that `problem_of` reads. Raises UserError if one it needs is missing."""
    present = list(present)
    is_verl = {"prompt", "reward_model"} <= set(present) and not {"problem", "answer"} & set(present)
    needed, optional = (VERL_COLUMNS, VERL_OPTIONAL_COLUMNS) if is_verl else (COLUMNS, OPTIONAL_COLUMNS)
    require_columns(needed, present, where)
    return [column for column in (*needed, *optional) if column in present]


def require_columns(needed: Iterable[str], present: Iterable[str], where: str) -> None:
    """Raises UserError that names the first column missing."""
    present = list(present)
    for column in needed:
        if column not in present:
            found = escape(str(present), 300)
            raise UserError(
                f"{where}: column '{column}' is missing, found {found}; rename or rebuild the dataset"
            )


def read_problems(
    rows: Iterable[Mapping[str, Any]],
    build: Callable[[Mapping[str, Any]], Problem] | None = None,
    name: Callable[[Mapping[str, Any]], str] | None = None,
) -> Iterator[Problem | RejectedRow]:
    """A split's rows in order, as problems, or as a `RejectedRow` if `build` raised or its id is repeated.

    `build` raises InvalidRow; the default is `problem_of`. `name` gives a row's id, or ""; the default is the
    column `id`.
    """
    build, name = build or problem_of, name or _row_id
    seen: set[str] = set()
    for number, row in enumerate(rows):
        try:
            problem = build(row)
            if problem.id in seen:
                raise InvalidRow("duplicate id", problem.question)
        except InvalidRow as fault:
            yield RejectedRow(number, name(row), fault.reason, fault.detail)
            continue
        seen.add(problem.id)
        yield problem


def problem_of(row: Mapping[str, Any]) -> Problem:
    """The problem a row states; one without `id` is named by a hash of its content. Raises InvalidRow."""
    images = _images(row["images"])
    if "problem" in row:
        question, answer = _string(row, "problem"), _string(row, "answer")
    else:
        question, answer = _verl_question(row, len(images)), _ground_truth(row["reward_model"])
    problem = Problem(
        id=_id(row.get("id")) or _content_id(question, answer, images),
        question=question,
        answer=answer,
        images=images,
        choices=_choices(row.get("choices")),
        precision=whole_precision(row.get("precision")),
        question_type=_string(row, "question_type", "free_form"),
        answer_type=_string(row, "answer_type", "text"),
        source=_source(row),
        metadata=_metadata(row.get("metadata")),
    )
    if fault := problem_defect(problem):
        raise InvalidRow(fault, question)
    return problem


def whole_precision(value: Any) -> int | None:
    """Decimal places, or None. Raises InvalidRow unless it is a whole number from 0 to 15."""
    if value is None:
        return None
    # MathVista states its whole numbers as floats: 1.0
    if isinstance(value, int | float) and value in range(16):
        return int(value)
    raise InvalidRow("'precision' is not a whole number from 0 to 15", str(value))


def embedded_picture(item: Any) -> bytes:
    """The encoded bytes of a picture as tables hold it: `{bytes, path}`, or bytes. Raises InvalidRow."""
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
        digest.update(len(part).to_bytes(8, "big"))  # the lengths keep ("ab", "c") apart from ("a", "bc")
        digest.update(part)
    return digest.hexdigest()


def _images(value: Any) -> tuple[bytes, ...]:
    items = [] if value is None else value
    if not isinstance(items, list):
        raise InvalidRow("'images' is not a list")
    return tuple(embedded_picture(item) for item in items)


def _choices(value: Any) -> tuple[str, ...]:
    items = [] if value is None else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InvalidRow("'choices' is not a list of texts")
    return tuple(items)


def _source(row: Mapping[str, Any]) -> str:
    known = {name: ours for ours, name in VERL_SOURCES.items()}
    verl = _string(row, "data_source", "")
    return _string(row, "source", "") or known.get(verl, verl)


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
    """The bare question, where it was kept and says where the pictures go; else what the user says."""
    extra = row.get("extra_info")
    question = extra.get("question") if isinstance(extra, dict) else None
    if isinstance(question, str) and question.count(IMAGE_MARK) == pictures:
        return question
    return _last_user_text(row["prompt"])


def _last_user_text(messages: Any) -> str:
    turns = messages if isinstance(messages, list) else []
    said = [turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == "user"]
    content = said[-1] if said else None
    if isinstance(content, list):
        content = "".join(map(_part_text, content))
    if not isinstance(content, str):
        raise InvalidRow("'prompt' holds no user message with text")
    return content


def _part_text(part: Any) -> str:
    fields = part if isinstance(part, dict) else {}
    text = fields.get("text")
    return IMAGE_MARK if fields.get("type") == "image" else text if isinstance(text, str) else ""


def _ground_truth(value: Any) -> str:
    answer = value.get("ground_truth") if isinstance(value, dict) else None
    if not isinstance(answer, str):
        raise InvalidRow("'reward_model.ground_truth' is not text")
    return answer
