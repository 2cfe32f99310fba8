"""Untrusted files and arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.lib.launching import ROOT
from tests.support.configs import config_error
from vlm_uec.config import load_config
from vlm_uec.errors import UserError


@pytest.mark.parametrize("argument", ["train.steps", "=5", "", "--steps", "train..steps=5", ".=1", "a." * 99])
def test_an_argument_without_key_or_value_shows_the_syntax(file: Path, argument: str) -> None:
    assert "write dotted.key=value" in config_error(file, argument)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("train.steps=[1", "line 1"),
        ("model.path=\t: x", "cannot start any token"),
        ("prompt.template={{ question }} Go.", "quote text: prompt.template='\"...\"'"),
        ("train.steps=!!timestamp x", "the tag !!timestamp is not supported"),
        ("train.steps=!!binary x", "!!binary"),
        ("train.steps=!!set {a}", "!!set"),
        ("train.steps=!!int ''", "'' is not a valid int"),
        ("train.steps=!!int 5 apples", "'5 apples' is not a valid int"),
        ("train.steps=!!int {}", "expected a scalar"),
        ("train.steps=!!bool perhaps", "'perhaps' is not a valid bool"),
        ("optim.lr=!!float ''", "'' is not a valid float"),
        ("optim.lr=!!python/object/apply:os.system ['true']", "!!python/object/apply:os.system"),
        ("train.steps=" + "9" * 5000, "a whole number of 5000 digits"),
        ("train={<<: 5}", "expected a mapping"),
        ("train.run_dir=\udcff", r"'\udcff' is not allowed"),
        ('train.run_dir="\\ud800"', "incomplete surrogate pair"),
        ("train.run_dir=*nothing", "undefined alias"),
        ("train.run_dir=a\0b", r"'\x00' is not allowed"),
        ("train.run_dir=" + "[" * 3000, "nested over 16 levels deep"),
    ],
    ids=lambda value: value[:40].encode("unicode_escape").decode(),
)
def test_an_argument_that_is_not_yaml_is_rejected(file: Path, argument: str, message: str) -> None:
    error = config_error(file, argument)
    assert "not valid YAML" in error
    assert message in error


@pytest.mark.parametrize("argument", ["a.b.c.d=1", "train.steps.more=1", "x" * 9999 + "=1", "a\nb=1"])
def test_an_argument_with_an_invalid_key_is_rejected(file: Path, argument: str) -> None:
    assert "unknown key" in config_error(file, argument)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no sections"),
        (b"- a\n- b\n", "has no sections"),
        (b"just text", "has no sections"),
        (b"model: [", "not valid YAML (line 1"),
        (b"\xff\xfe\x00", "its bytes are not UTF-8 text"),
        (b"a: !!python/object/apply:os.system ['true']", "the tag !!python/object/apply:os.system"),
        (b"a: &a [*a]", "*a is used inside of its own anchor"),
        (b"&a a: {b: &b [c, {d: *b}]}", "*b is used inside of its own anchor"),
        (b"1: 2\n", "the key 1 is not text"),
        (b"{[a]: 1}", "not text"),
        (b"!!str [a]: 1", "not text"),
        (b"train: {steps: 1}\nmodel: {}\ntrain: {steps: 2}\n", "line 3: the key train is already in line 1"),
        (b"train:\n  steps: 1\n  steps: 1\n", "line 3: the key steps is already in line 2; keep one"),
        (b"[" * 5000, "nested over 16 levels deep"),
        (b"- " * 5000, "nested over 16 levels deep"),
        (b"a: [" + b"1, " * 5000 + b"]", "over 2000 values"),
        (b"a: 1\n--- \nb: 1", "not valid YAML"),
        (b"%YAML 9.9\n--- {}", "not valid YAML"),
        (b"#" * 2**18 + b"#", "over 256 KiB"),
    ],
)
def test_an_invalid_file_is_rejected(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    error = config_error(file)
    assert message in error
    assert "bad.yaml" in error


@pytest.mark.parametrize("use", ["zzz: *{0}", "data: {{mixture: *{0}}}", "train: *{0}", "zzz: {{<<: *{0}}}"])
@pytest.mark.parametrize(
    "link", ["[*{0}, *{0}, *{0}]", "{{x: *{0}, y: *{0}}}", "{{<<: [*{0}, *{0}], {1}: 1}}"]
)
def test_exponential_aliases_are_rejected(tmp_path: Path, link: str, use: str) -> None:
    """40 levels of aliases expand to at least 2 ** 40 values ("billion laughs")."""
    file = tmp_path / "bomb.yaml"
    levels = [f"a{n}: &a{n} " + link.format(f"a{n - 1}", f"k{n}") for n in range(1, 41)]
    file.write_text("\n".join(["a0: &a0 {lol: 1}", *levels, use.format("a40")]))
    assert "over 2000 values, with aliases expanded" in config_error(file)


def test_anchors_work(tmp_path: Path) -> None:
    file = tmp_path / "anchors.yaml"
    file.write_text(
        "model: {path: &model some/model}\n"
        "data: {path: *model}\n"
        "rollout: &sampling {n: 8, temperature: 0.7}\n"
        "exploration: {<<: *sampling, n: 16, temperature: 1.1}\n"
        "evaluation: {<<: *sampling}\n"
        "train: {steps: 1, run_dir: r}\n"
    )
    config = load_config(file)
    assert config.data.path == "some/model"
    assert (config.exploration.n, config.exploration.temperature) == (16, 1.1)
    assert (config.evaluation.n, config.evaluation.temperature) == (8, 0.7)


def test_a_byte_order_mark_is_ignored(file: Path) -> None:
    plain = load_config(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_config(file) == plain


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read" in config_error(tmp_path / "absent.yaml")
    assert "cannot be read" in config_error(tmp_path)
    assert "cannot be read" in config_error(tmp_path / "nul\0l.yaml")
    assert "cannot be read" in config_error(tmp_path / ("long" * 2000))


@given(st.text(max_size=200))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        load_config(ROOT / "configs" / "tiny_cpu.yaml", [f"train.run_dir={text}"])
    except UserError as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) < 500
