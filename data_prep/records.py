"""Reads untrusted records and pictures of a raw directory: bounded, and only inside the directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm_uec.data.decode import MAX_PICTURE_BYTES, picture_defect
from vlm_uec.data.validation import InvalidRow

MAX_RECORD_BYTES = 2**20


def parse_json_object(data: bytes) -> dict[str, Any]:
    """Parses a record. Raises InvalidRow unless it is a JSON object."""
    if len(data) > MAX_RECORD_BYTES:
        raise InvalidRow(f"record over {MAX_RECORD_BYTES} bytes")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidRow("malformed JSON", str(error)) from error
    if not isinstance(fields, dict):
        raise InvalidRow("malformed JSON", f"{type(fields).__name__} instead of an object")
    return fields


def text_field(fields: Mapping[str, Any], key: str) -> str:
    """Raises InvalidRow if the field is not text."""
    value = fields.get(key)
    if not isinstance(value, str):
        raise InvalidRow("wrong type", f"'{key}' is {type(value).__name__}, not text")
    return value


def text_list(fields: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Raises InvalidRow if the field is not a list of texts."""
    value = fields.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRow("wrong type", f"'{key}' is not a list of texts")
    return tuple(value)


def find_file_inside(root: Path, name: str) -> Path | None:
    """The file `name` below the resolved `root`, or None. Raises InvalidRow if it leads outside."""
    try:
        path = (root / name).resolve()
        inside, exists = path.is_relative_to(root), path.is_file()
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # a NUL character, a name that is too long, a loop of links
        raise InvalidRow("missing picture", f"{name}: {error}") from error
    if not inside:
        raise InvalidRow("picture path leaves the directory", name)
    return path if exists else None


def read_picture(path: Path, name: str) -> bytes:
    """The bytes of a picture. Raises InvalidRow, with `name` as detail, if it cannot be decoded."""
    return validated_picture(read_bounded(path, MAX_PICTURE_BYTES), name)


def validated_picture(data: bytes, name: str) -> bytes:
    """Returns `data` after decoding its pixels. Raises InvalidRow, with `name` as detail, if that fails."""
    if fault := picture_defect(data, decode=True):
        raise InvalidRow(fault, name)
    return data


def read_bounded(path: Path, limit: int) -> bytes:
    """The content, cut one byte after the limit, so that larger files are detected. Raises InvalidRow."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise InvalidRow("unreadable file", f"{path.name}: {error.strerror}") from error
