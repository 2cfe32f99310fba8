"""Descriptions of the config's keys: accepted values, default and meaning.

Used by both error messages and docs/config.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", NoneType: "null"}
_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


@dataclass(frozen=True)
class Choices:
    """Annotation of a text key whose value must be one of `names()`, called at each validation."""

    names: Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: str) -> str:
        if value not in self.names():
            raise PydanticCustomError("unknown_choice", "not one of the choices")
        return value


@dataclass(frozen=True)
class ConfigKey:
    """A config key that has a value."""

    name: str  # dotted
    accepts: str  # the accepted values in words
    default: str | None  # as YAML; None if the key is required
    description: str


def config_keys(section: type[BaseModel], prefix: str = "") -> dict[str, ConfigKey]:
    """Every key of the tree that has a value, by its dotted name."""
    keys: dict[str, ConfigKey] = {}
    for name, field in section.model_fields.items():
        if inner := section_type(field):
            keys |= config_keys(inner, f"{prefix}{name}.")
        else:
            default = None if field.is_required() else as_yaml(field.default)
            keys[prefix + name] = ConfigKey(
                prefix + name, accepted_values(field), default, field.description or ""
            )
    return keys


def section_type(field: FieldInfo) -> type[BaseModel] | None:
    """The section's class if the field is a section; None if it is a value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def accepted_values(field: FieldInfo) -> str:
    """The accepted values: `number > 0 and <= 4`, `"fp32" or "bf16"`, `whole number >= 8 or null`."""
    for part in field.metadata:
        if isinstance(part, Choices):
            return _quoted(part.names())
    return _in_words(field.annotation, _bounds(field.metadata))


def as_yaml(value: object) -> str:
    """A default value in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(as_yaml, value))}]"
    return repr(value).replace("e-0", "e-") if isinstance(value, float) else str(value)


def join_or(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _in_words(kind: Any, bounds: str = "") -> str:
    if get_origin(kind) is Annotated:
        inner, *metadata = get_args(kind)
        return _in_words(inner, _bounds(metadata))
    if get_origin(kind) in (Union, UnionType):
        return join_or(_in_words(part, "" if part is NoneType else bounds) for part in get_args(kind))
    if get_origin(kind) is Literal:
        return _quoted(get_args(kind))
    if get_origin(kind) is dict:
        key, value = map(_in_words, get_args(kind))
        return f"mapping of {key} to {value}"
    if get_origin(kind) is list:
        return f"list of {_in_words(get_args(kind)[0])}"
    return _WORDS[kind] + bounds


def _quoted(choices: Iterable[str]) -> str:
    return join_or(f'"{choice}"' for choice in choices)


def _bounds(metadata: Iterable[Any]) -> str:
    """The numeric limits among pydantic's constraints; the minimum length of text is left out."""
    parts = [inner for part in metadata for inner in (part, *getattr(part, "metadata", ()))]
    limits = [
        f"{sign} {getattr(part, name)}"
        for name, sign in _BOUNDS.items()
        for part in parts
        if hasattr(part, name)
    ]
    return " " + " and ".join(limits) if limits else ""
