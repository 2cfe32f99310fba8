"""Random broken config files and command-line arguments."""

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

CONFIGS = ROOT / "configs"
RECIPES = [path.read_text(encoding="utf-8") for path in sorted(CONFIGS.glob("*.yaml"))]
KEYS = [*config_keys(Config)]
REQUIRED_SECTIONS = ("model", "data", "train")
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
# Replacements of values, as YAML text.
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


def hostile_config(rng: random.Random, directory: Path) -> Callable[[], object]:
    """Writes an input into `directory`; the call loads it, and its dump, which must give the same config."""
    file = directory / "run.yaml"
    file.write_bytes(rng.choice(_GENERATORS)(rng))
    arguments = [_argument(rng) for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 5]))]

    def load() -> object:
        config = load_config(file, arguments)
        written = directory / "written.yaml"
        written.write_text(dump_config(config), encoding="utf-8")
        if load_config(written) != config:
            raise AssertionError("the dumped config differs from the loaded one")
        return config

    return load


def _recipe(rng: random.Random) -> str:
    """A recipe; for speed, usually without comments and without most of its optional sections."""
    text = rng.choice(RECIPES)
    if rng.random() < 0.1:
        return text
    sections = re.split(r"^(?=\w)", re.sub(r" *#.*", "", text).lstrip(), flags=re.M)
    return "".join(part for part in sections if part.startswith(REQUIRED_SECTIONS) or rng.random() < 0.2)


def _unchanged(rng: random.Random) -> bytes:
    return _recipe(rng).encode()


def _with_changed_bytes(rng: random.Random) -> bytes:
    """Bytes flipped, removed, repeated, inserted or truncated."""
    data = bytearray(_recipe(rng).encode())
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        position, length = rng.randrange(len(data) + 1), rng.choice([1, 1, 3, 20, 200])
        piece = data[position : position + length]
        data[position : position + length] = rng.choice(
            [
                b"",
                piece * 2,
                bytes(byte ^ 1 << rng.randrange(8) for byte in piece),
                rng.randbytes(length),
                rng.choice(VALUES).encode("utf-8", "surrogatepass")[:length],
                piece + rng.choice(TOKENS).encode(),
            ]
        )
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)


def _with_changed_tokens(rng: random.Random) -> bytes:
    """Tokens exchanged, repeated, removed or replaced."""
    tokens = TOKEN.findall(_recipe(rng))
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        one, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        match rng.randrange(5):
            case 0:
                tokens[one], tokens[other] = tokens[other], tokens[one]
            case 1:
                tokens[one] = rng.choice(TOKENS)
            case 2:
                tokens[one] = rng.choice(VALUES)
            case 3:
                tokens[one] *= rng.choice([0, 2, 50])
            case 4:
                tokens[one] = tokens[other]
    return "".join(tokens).encode()


def _with_changed_values(rng: random.Random) -> bytes:
    """The parsed tree with values replaced, removed, moved or added, as YAML in a random style."""
    tree = yaml.safe_load(_recipe(rng))
    for _ in range(rng.choice([1, 1, 2, 5])):
        name = rng.choice([*tree, "zzz"])
        section = tree.get(name)
        if isinstance(section, dict) and section and rng.random() < 0.8:
            _change(rng, section, rng.choice([*section, "zzz"]))
        else:
            _change(rng, tree, name)
    style = rng.choice([None, True, False])
    return yaml.safe_dump(tree, default_flow_style=style, allow_unicode=rng.random() < 0.5).encode(
        "utf-8", "surrogatepass"
    )


def _change(rng: random.Random, mapping: dict[Any, Any], key: Any) -> None:
    if rng.random() < 0.15:
        mapping.pop(key, None)
    elif rng.random() < 0.15:
        mapping[_value(rng)] = mapping.pop(key, None)
    else:
        mapping[key] = _value(rng, 4)


def _value(rng: random.Random, depth: int = 0) -> Any:
    """A random value; containers only if `depth` > 0."""
    size = rng.choice([0, 1, 3])
    kinds: list[Callable[[], Any]] = [
        lambda: rng.choice([None, True, False, 0, 1, -1, 10**30, -(10**400)]),
        lambda: rng.choice([0.0, -1.0, 1e308, float("inf"), float("nan"), 1e-320, rng.random() * 3]),
        lambda: rng.randint(-3, 300),
        lambda: rng.choice(["", "\0", "\u202e", "\ufeff", "a\nb", "1e5", "yes", "~", "=", "é" * 99, "😀"]),
        lambda: rng.choice(VALUES),
        lambda: rng.choice(KEYS),
        lambda: rng.choice(KEYS).rpartition(".")[2],
        lambda: [_value(rng, depth - 1) for _ in range(size)],
        lambda: {_value(rng): _value(rng, depth - 1) for _ in range(size)},
    ]
    return rng.choice(kinds if depth else kinds[:-2])()


def _alias_bomb(rng: random.Random) -> bytes:
    """Nested aliases, aliases of themselves, and nested merges."""
    link = rng.choice(
        [
            "[*{0}, *{0}]",
            "{{a: *{0}, b: *{0}}}",
            "{{<<: *{0}, x{1}: 1}}",
            "{{<<: [*{0}, *{0}]}}",
            "[*{0}, *{1}]",
            "{{*{0} : 1}}",
        ]
    )
    levels = rng.choice([1, 5, 20, 60, 500])
    lines = [f"a{n}: &a{n} " + link.format(f"a{n - 1}", f"a{n}") for n in range(1, levels + 1)]
    template = rng.choice(
        ["", "data: {mixture: *%s}", "model: *%s", "rollout: {n: *%s}", "<<: *%s", "train: {<<: *%s}"]
    )
    last = template % f"a{levels}" if template else ""
    first = "a0: &a0 " + rng.choice(["1", "{n: 1}", "[x, y]", "&a0 2", "*a0"])
    return "\n".join([first, *lines, last, _recipe(rng)]).encode()


def _oversized(rng: random.Random) -> bytes:
    """Deep nesting, long tokens or many repetitions."""
    times = rng.choice([5, 15, 20, 20, 900, 900, 900, 5000, 100_000])
    unit = rng.choice(
        ["[", "{", "{a: ", "- ", "? ", "a:\n", "&a ", "!!str ", "'", '"\\u0041', "a: ", "#", "\n", " ", "x"]
    )
    unit = rng.choice([unit, "[1, ", "k{n}: 1\n", "k{n}: {{}}\n", "- &b{n} 1\n", "-\n", "a, "])
    repeated = "".join(unit.replace("{n}", str(n)) for n in range(times))
    template = rng.choice(
        ["%s", "data: {path: %s}", "zzz: %s", "train:\n  seed: %s", "prompt: {template: '%s'}", "[%s]"]
    )
    return (_recipe(rng) * rng.choice([0, 1]) + template.replace("%s", repeated)).encode()


def _argument(rng: random.Random) -> str:
    key = rng.choice(KEYS)
    match rng.randrange(8):
        case 0:
            key = key.rpartition(".")[rng.choice([0, 2])]
        case 1:
            position = rng.randrange(len(key) + 1)
            key = (
                key[:position] + rng.choice([*TOKENS, "x", "..", "s"]) + key[position + rng.choice([0, 1]) :]
            )
        case 2:
            key = rng.choice(
                ["", ".", "a.b.c", key * 300, f"{key}.{key}", "a." * 2000 + "b", "\udcff", "data.mixture.a/b"]
            )
    value = rng.choice(VALUES) if rng.random() < 0.8 else "[" * rng.choice([3, 30, 3000])
    return f"{key}{rng.choice(['=', '=', '=', '=', '==', '', ' = '])}{value}"


_GENERATORS = [
    *[_with_changed_bytes] * 4,
    *[_with_changed_tokens] * 3,
    *[_with_changed_values] * 2,
    _unchanged,
    _alias_bomb,
    _oversized,
]
