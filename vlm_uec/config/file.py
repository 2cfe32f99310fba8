"""Reads config files and `dotted.key=value` arguments into trees of plain values.

Both may be untrusted input. PyYAML's safe loader runs no code, but it keeps the last of two equal keys,
expands anchors into huge or recursive trees, and raises arbitrary exceptions for `!!int ""`. This reader
accepts only small trees with unique text keys; anything else is a `UserError` with the line.
Scalars are those of YAML 1.2 plus `yes` and `no`: 1e-6 is a number, 010 is ten, 2024-01-01 and 1:30 are text.
Unlike in YAML 1.2, underscores may group the digits of a number, as in YAML 1.1: 1_000 is a thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from vlm_uec.config.errors import show_value
from vlm_uec.config.fields import ConfigKey
from vlm_uec.errors import UserError
from vlm_uec.escape import escape

MAX_BYTES = 256 * 2**10  # PyYAML reads about half a megabyte per second; a recipe has four kilobytes
MAX_VALUES = 2000  # with aliases expanded
MAX_DEPTH = 16
MAX_DIGITS = 18

_TOO_DEEP = f"nested over {MAX_DEPTH} levels deep"
# PyYAML's errors, and Python's for invalid UTF-8 or an invalid character such as "\UFFFFFFFF".
_YAML_ERRORS = (yaml.YAMLError, ValueError, OverflowError)
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {f"{_TAG}str", f"{_TAG}merge"}
_TAGS = _TEXT_TAGS | {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "seq", "map")}
_BOOLS = ("true", "false", "yes", "no", "on", "off")
_WHOLE = re.compile(r"[-+]?[0-9][0-9_]*")
_NUMBER = re.compile(
    r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_SCALARS = {  # the first match determines the tag; without a match the scalar is text
    "null": re.compile(r"~|null|Null|NULL|"),
    "bool": re.compile("|".join(word for low in _BOOLS for word in (low, low.title(), low.upper()))),
    "int": _WHOLE,
    "float": _NUMBER,
    "merge": re.compile("<<"),
}


def read_config_file(path: Path) -> dict[str, Any]:
    """The file's tree. Raises `UserError` if it cannot be read, is too large, or is not a mapping."""
    where = escape(str(path), 200)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{where}: cannot be read ({reason}); see configs/ for examples") from error
    if len(content) > MAX_BYTES:
        raise UserError(
            f"{where}: over {MAX_BYTES // 2**10} KiB, too large for a config; see configs/ for examples"
        )
    try:
        tree = _parse(content.decode("utf-8"))
    except _YAML_ERRORS as error:
        raise UserError(
            f"{where}: not valid YAML ({_describe_error(error)}); see configs/ for examples"
        ) from error
    if not isinstance(tree, dict):
        raise UserError(f"{where}: has no sections; see configs/ for examples")
    return tree


def read_arguments(arguments: Sequence[str], keys: Mapping[str, ConfigKey]) -> dict[str, Any]:
    """The tree of `dotted.key=value` arguments; later ones override earlier ones.

    Raises `UserError` for another syntax, a value that is not YAML, or a key below a value.
    """
    tree: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        parts = name.split(".")
        if not equals or not all(parts) or len(parts) > MAX_DEPTH:
            raise UserError(f"argument {show_value(argument)}: write dotted.key=value")
        if not name.isprintable():
            raise UserError(f"unknown key {escape(name)}: keys are words separated by dots")
        _check_not_below_value(parts, keys)
        value = _parse_value(name, text, keys)
        for part in reversed(parts):
            value = {part: value}
        tree = merge_sections(tree, value)
    return tree


def write_tree(tree: Mapping[str, Any]) -> str:
    """YAML text that loads to an equal tree."""
    return yaml.dump(tree, Dumper=_ConfigDumper, sort_keys=False)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The tree's values by dotted key, as on a command line; a mixture is one value."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key != "data.mixture":
            yield from flatten(value, f"{key}.")
        else:
            yield key, value


def merge_sections(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Merges two trees section by section; for a key in both, `override`'s value is used."""
    merged = dict(base)
    for name, value in override.items():
        old = merged.get(name)
        # Only one level deep: a value that is a mapping is replaced completely.
        merged[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _check_not_below_value(parts: Sequence[str], keys: Mapping[str, ConfigKey]) -> None:
    for end in range(1, len(parts)):
        if key := keys.get(".".join(parts[:end])):
            name = escape(".".join(parts))
            raise UserError(f"unknown key {name}: {key.name} is one value; write {key.name}=VALUE")


def _parse_value(name: str, text: str, keys: Mapping[str, ConfigKey]) -> Any:
    if len(text) > MAX_BYTES:
        raise UserError(f"argument {escape(name)}: its value is over {MAX_BYTES // 2**10} KiB")
    try:
        return _parse(text)
    except _YAML_ERRORS as error:
        is_text = name in keys and keys[name].accepts.startswith("text")
        hint = f"; quote text: {name}='\"...\"'" if is_text else ""
        value = show_value(text)
        raise UserError(
            f"argument {escape(name)}={value}: the value is not valid YAML ({_describe_error(error)}){hint}"
        ) from error


def _parse(text: str) -> Any:
    return yaml.load(text, Loader=_ConfigLoader)  # noqa: S506  (a SafeLoader with fewer tags)


def _describe_error(error: Exception) -> str:
    """The error and its line, without PyYAML's excerpt of the file."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {escape(str(error.problem), 160)}"
    if isinstance(error, UnicodeDecodeError):
        return "its bytes are not UTF-8 text"
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character {show_value(chr(error.character))} is not allowed"
    return f"an invalid value: {escape(str(error), 100)}"


class _ConfigLoader(yaml.SafeLoader):
    """Rejects input that is too large, ambiguous or recursive, while reading it."""

    # A separate table: the inherited one parses dates, and numbers of base 8 and 60.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's interface)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0
        self._sizes: dict[int, int] = {}  # of every completely read node, by identity

    def fetch_flow_collection_start(self, token: Any) -> None:
        # The scanner reads ahead, in time quadratic in the number of open brackets.
        if self.flow_level > MAX_DEPTH:
            self._reject(_TOO_DEEP, self.get_mark())
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._reject(_TOO_DEEP, self.peek_event().start_mark)
        before, event = self._values, self.peek_event()
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                self._reject(f"*{event.anchor} is used inside of its own anchor", event.start_mark)
            self._values += self._sizes[id(node)]
        else:
            self._values += 1
            self._sizes[id(node)] = self._values - before
            self._check(node, event)
        if self._values > MAX_VALUES:
            self._reject(f"over {MAX_VALUES} values, with aliases expanded", event.start_mark)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _TEXT_TAGS:
                name = escape(key.value) if isinstance(key, yaml.ScalarNode) else f"[{len(key.value)} values]"
                self._reject(f"the key {name} is not text; put it in quotes", key.start_mark)
            if key.value in lines:
                reason = f"the key {escape(key.value)} is already in line {lines[key.value]}; keep one"
                self._reject(reason, key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return node

    def _check(self, node: Any, event: yaml.Event) -> None:
        if node.tag not in _TAGS:
            self._reject(f"the tag {escape(node.tag.replace(_TAG, '!!'))} is not supported", event.start_mark)
        if isinstance(node, yaml.ScalarNode):
            try:
                node.value.encode()
            except UnicodeEncodeError:
                self._reject("text with an incomplete surrogate pair", event.start_mark)

    def _reject(self, reason: str, mark: Any) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, reason, mark)

    def _scalar(self, node: yaml.ScalarNode, kind: str) -> str:
        text = str(self.construct_scalar(node))
        if not _SCALARS[kind].fullmatch(text):
            self._reject(f"{show_value(text)} is not a valid {kind}", node.start_mark)
        return text

    def construct_yaml_bool(self, node: yaml.ScalarNode) -> bool:
        return self._scalar(node, "bool").lower() in _BOOLS[::2]

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        digits = self._scalar(node, "int").replace("_", "")
        if len(digits) > MAX_DIGITS:
            self._reject(f"a whole number of {len(digits)} digits, which is too long", node.start_mark)
        return int(digits)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        text = self._scalar(node, "float").replace("_", "").lower()
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))


class _ConfigDumper(yaml.SafeDumper):
    """Quotes text that this or another YAML reader would parse as another type."""


for _kind, _pattern in _SCALARS.items():
    for _class in (_ConfigLoader, _ConfigDumper):
        _class.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"(?:{_pattern.pattern})\Z"), None)
for _kind in ("bool", "int", "float"):
    _ConfigLoader.add_constructor(f"{_TAG}{_kind}", getattr(_ConfigLoader, f"construct_yaml_{_kind}"))
