"""Broken config files and arguments, each drawn from a random source."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.lib.launching import ROOT
from vlm_uec.config import Config, dump_config, load_config
from vlm_uec.config.fields import config_keys

FOLDER = ROOT / "configs"
RECIPES = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))]
KEYS = [*config_keys(Config)]
NEEDED = ("model", "data", "train")
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
# What a value may be replaced by, as it stands in a file.
VALUES = [
    "", "~", "null", "true", "no", "0", "-1", "1", "2", "3", "7", "8", "0.0", "-0.0", "0.5", "1.0", "1e-6",
    "1e400", "-1e400", ".inf", "-.inf", ".nan", "5e-324", "1e308", "010", "0x10", "0b1", "0o7", "1_000",
    "1__", "_1", "+1", "1:30:00", "190:20:30.15", "2024-01-01", "2024-13-45",
    "2001-12-14t21:59:43.10-05:00", "9" * 18, "9" * 19, "9" * 5000, "0x" + "f" * 5000, "-" + "9" * 4000,
    "1e" + "9" * 300, "'5'", '"true"', "[]", "{}", "[1, 2]", "{a: 1}", "{1: 2}", "{a: {b: {c: 1}}}",
    "[[[[[[]]]]]]", "- a", "a: b", "a: b: c", "? a", "? [a, b]", ": a", "<<", "<<: *a", "{<<: {a: 1}}",
    "{<<: 5}", "{<<: [1, 2]}", "*a", "&a 1", "&a [*a]", "&a {b: *a}", "!!int ''", "!!int x", "!!int 0x1F",
    "!!float ''", "!!float x", "!!bool ''", "!!bool x", "!!null x", "!!timestamp x",
    "!!timestamp 2024-99-99", "!!binary x", "!!binary '*'", "!!omap x", "!!omap [a]", "!!pairs [a]",
    "!!pairs [{a: 1, b: 2}]", "!!set [a]", "!!set {a}", "!!map []", "!!seq {}", "!!str {a: b}", "!!str 5",
    "!!merge a", "!!python/none", "!!python/object/apply:os.system ['true']", "!x y", "!<x> y",
    "!<tag:yaml.org,2002:int> z", "!", "! 5", "!!", "!%41 x", "!%ff x", "%", "@", "`", "|", ">", "|9\n x",
    "|\n \0", "\t", "#", "'", '"', '"\\ud800"', '"\\x00"', '"\\xff"', '"\\U0010ffff"', '"\\UFFFFFFFF"',
    '"\\n"', "\x00", "\x07", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe", "\u202e", "\U0001f600", "é",
    "grpo", "uec", "auto", "magnitude", "fp32", "a" * 300, "a" * 100_000, "'" + " " * 5000 + "'", "x.jinja",
    "{{ question }}", "'{{ question }}'", "..", "/", "---", "...", "%TAG",
]  # fmt: skip
TOKENS = [
    *"{}[]:,&*!|>?-#%@`'\"~<= \n\t\r\x00\x0b\x85\u2028\ufeff", "\n\n", "\r\n", ": ", " #", "- ", "? ",
    "<<: ", "&a ", "*a", "!!int ", "!!float ", "!!timestamp ", "!!binary ", "!!set ",
    "!!python/name:os.system ", "---\n", "...\n", "%YAML 9.9\n", "%TAG ! x\n",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
]  # fmt: skip


def hostile_config(source: random.Random, directory: Path) -> Callable[[], object]:
    """Writes an input below `directory`; the call loads it, and what loads must survive being written."""
    file = directory / "run.yaml"
    file.write_bytes(source.choice(_FILES)(source))
    arguments = [_argument(source) for _ in range(source.choice([0, 0, 0, 1, 1, 2, 5]))]

    def load() -> object:
        config = load_config(file, arguments)
        written = directory / "written.yaml"
        written.write_text(dump_config(config), encoding="utf-8")
        if load_config(written) != config:
            raise AssertionError("written and read again it is another config")
        return config

    return load


def _recipe(source: random.Random) -> str:
    """A recipe; mostly without comments and most of the sections that it could do without, to be fast."""
    text = source.choice(RECIPES)
    if source.random() < 0.1:
        return text
    sections = re.split(r"^(?=\w)", re.sub(r" *#.*", "", text).lstrip(), flags=re.M)
    return "".join(part for part in sections if part.startswith(NEEDED) or source.random() < 0.2)


def _whole(source: random.Random) -> bytes:
    return _recipe(source).encode()


def _mangled(source: random.Random) -> bytes:
    """Bytes flipped, cut out, repeated, put in, or cut off."""
    data = bytearray(_recipe(source).encode())
    for _ in range(source.choice([1, 1, 2, 4, 16])):
        place, length = source.randrange(len(data) + 1), source.choice([1, 1, 3, 20, 200])
        piece = data[place : place + length]
        data[place : place + length] = source.choice(
            [
                b"",
                piece * 2,
                bytes(byte ^ 1 << source.randrange(8) for byte in piece),
                source.randbytes(length),
                source.choice(VALUES).encode("utf-8", "surrogatepass")[:length],
                piece + source.choice(TOKENS).encode(),
            ]
        )
    return bytes(data[: source.randrange(len(data) + 1)] if source.random() < 0.2 else data)


def _swapped(source: random.Random) -> bytes:
    """Tokens exchanged, doubled, dropped or replaced."""
    tokens = TOKEN.findall(_recipe(source))
    for _ in range(source.choice([1, 1, 2, 5, 30])):
        one, other = source.randrange(len(tokens)), source.randrange(len(tokens))
        match source.randrange(5):
            case 0:
                tokens[one], tokens[other] = tokens[other], tokens[one]
            case 1:
                tokens[one] = source.choice(TOKENS)
            case 2:
                tokens[one] = source.choice(VALUES)
            case 3:
                tokens[one] *= source.choice([0, 2, 50])
            case 4:
                tokens[one] = tokens[other]
    return "".join(tokens).encode()


def _rewritten(source: random.Random) -> bytes:
    """The parsed tree with values replaced, dropped, moved or added, as YAML in some style."""
    tree = yaml.safe_load(_recipe(source))
    for _ in range(source.choice([1, 1, 2, 5])):
        name = source.choice([*tree, "zzz"])
        section = tree.get(name)
        if isinstance(section, dict) and section and source.random() < 0.8:
            _change(source, section, source.choice([*section, "zzz"]))
        else:
            _change(source, tree, name)
    style = source.choice([None, True, False])
    return yaml.safe_dump(tree, default_flow_style=style, allow_unicode=source.random() < 0.5).encode(
        "utf-8", "surrogatepass"
    )


def _change(source: random.Random, place: dict[Any, Any], key: Any) -> None:
    if source.random() < 0.15:
        place.pop(key, None)
    elif source.random() < 0.15:
        place[_value(source)] = place.pop(key, None)
    else:
        place[key] = _value(source, 4)


def _value(source: random.Random, depth: int = 0) -> Any:
    """Something that Python can hold; of containers only where `depth` is left."""
    size = source.choice([0, 1, 3])
    kinds: list[Callable[[], Any]] = [
        lambda: source.choice([None, True, False, 0, 1, -1, 10**30, -(10**400)]),
        lambda: source.choice([0.0, -1.0, 1e308, float("inf"), float("nan"), 1e-320, source.random() * 3]),
        lambda: source.randint(-3, 300),
        lambda: source.choice(["", "\0", "\u202e", "\ufeff", "a\nb", "1e5", "yes", "~", "=", "é" * 99, "😀"]),
        lambda: source.choice(VALUES),
        lambda: source.choice(KEYS),
        lambda: source.choice(KEYS).rpartition(".")[2],
        lambda: [_value(source, depth - 1) for _ in range(size)],
        lambda: {_value(source): _value(source, depth - 1) for _ in range(size)},
    ]
    return source.choice(kinds if depth else kinds[:-2])()


def _bomb(source: random.Random) -> bytes:
    """Aliases of aliases, of themselves, and merges of merges."""
    link = source.choice(
        [
            "[*{0}, *{0}]",
            "{{a: *{0}, b: *{0}}}",
            "{{<<: *{0}, x{1}: 1}}",
            "{{<<: [*{0}, *{0}]}}",
            "[*{0}, *{1}]",
            "{{*{0} : 1}}",
        ]
    )
    levels = source.choice([1, 5, 20, 60, 500])
    lines = [f"a{n}: &a{n} " + link.format(f"a{n - 1}", f"a{n}") for n in range(1, levels + 1)]
    place = source.choice(
        ["", "data: {mixture: *%s}", "model: *%s", "rollout: {n: *%s}", "<<: *%s", "train: {<<: *%s}"]
    )
    last = place % f"a{levels}" if place else ""
    first = "a0: &a0 " + source.choice(["1", "{n: 1}", "[x, y]", "&a0 2", "*a0"])
    return "\n".join([first, *lines, last, _recipe(source)]).encode()


def _towering(source: random.Random) -> bytes:
    """What is deep, long or many."""
    times = source.choice([5, 15, 20, 20, 900, 900, 900, 5000, 100_000])
    unit = source.choice(
        ["[", "{", "{a: ", "- ", "? ", "a:\n", "&a ", "!!str ", "'", '"\\u0041', "a: ", "#", "\n", " ", "x"]
    )
    unit = source.choice([unit, "[1, ", "k{n}: 1\n", "k{n}: {{}}\n", "- &b{n} 1\n", "-\n", "a, "])
    tower = "".join(unit.replace("{n}", str(n)) for n in range(times))
    place = source.choice(
        ["%s", "data: {path: %s}", "zzz: %s", "train:\n  seed: %s", "prompt: {template: '%s'}", "[%s]"]
    )
    return (_recipe(source) * source.choice([0, 1]) + place.replace("%s", tower)).encode()


def _argument(source: random.Random) -> str:
    key = source.choice(KEYS)
    match source.randrange(8):
        case 0:
            key = key.rpartition(".")[source.choice([0, 2])]
        case 1:
            place = source.randrange(len(key) + 1)
            key = (
                key[:place] + source.choice([*TOKENS, "x", "..", "s"]) + key[place + source.choice([0, 1]) :]
            )
        case 2:
            key = source.choice(
                ["", ".", "a.b.c", key * 300, f"{key}.{key}", "a." * 2000 + "b", "\udcff", "data.mixture.a/b"]
            )
    value = source.choice(VALUES) if source.random() < 0.8 else "[" * source.choice([3, 30, 3000])
    return f"{key}{source.choice(['=', '=', '=', '=', '==', '', ' = '])}{value}"


_FILES = [*[_mangled] * 4, *[_swapped] * 3, *[_rewritten] * 2, _whole, _bomb, _towering]
