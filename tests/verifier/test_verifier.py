"""Tests of each stage of the verifier: extraction, values, units, limits, command line, shared cases."""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vlm_uec.verifier import Verdict, verify
from vlm_uec.verifier.answer_parser import parse_answer
from vlm_uec.verifier.answer_types import Quantity
from vlm_uec.verifier.arithmetic import PI, AmbiguousAnswerError, ParseError
from vlm_uec.verifier.describe import describe
from vlm_uec.verifier.expression_parser import MAX_DEPTH, MAX_TOKENS, parse
from vlm_uec.verifier.extract import extract, last_box
from vlm_uec.verifier.normalise import normalise
from vlm_uec.verifier.tree import evaluate
from vlm_uec.verifier.units import Unit, split_unit

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
CASES = SHARED / "verifier_cases.jsonl"
CHOICES = ["22", "31", "43", "62"]


def boxed(answer: str) -> str:
    return f"<think>Some reasoning.</think> The answer: $\\boxed{{{answer}}}$."


def value_of(text: str) -> Quantity:
    parsed = parse_answer(text)
    assert isinstance(parsed, Quantity)
    return parsed


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed {7}", "7"),
        (r"\boxed 7", "7"),
        (r"$\boxed \frac12$ is it", r"\frac12"),
        (r"\boxed{3} or rather $\boxed 4$", "4"),
        (r"\fbox{8}", "8"),
        (r"\boxed{1} then \boxed{\sqrt{2", "1"),
        (r"<think>\boxed{1}</think> It is 2.", "2"),
        (r"<think>\boxed{1}</think> well", "well"),
        (r"<think>\boxed{1}</think>", None),
        (r"<think>\boxed{1}</think> <answer>2</answer>", "2"),
        (r"<answer>2</answer> \boxed{3}", "3"),
        (r"<think>a</think> \boxed{4} <think>b</think> \boxed{5}", "5"),
        (r"<think>a</think> \boxed{4} <think>\boxed{5}", "4"),
        ("<think>The answer is 5.", None),
        (r"\boxed{a \} b}", r"a \} b"),
        (r"<answer>5", None),
        ("<answer>5</answer></answer>", "5"),
        ("<answer>4 <answer>5</answer>", "5"),
        ("<answer>4</answer> <answer>5", "4"),
        ("</answer>5<answer>", None),
        (r"} } \boxed{6}", "6"),
        (r"\boxed{ }", ""),
        ("The answer is 15.", "15"),
        ("答案是 15。", "15"),
        ("故选：B", "B"),
        ("", None),
    ],
)
def test_extraction(response: str, expected: str | None) -> None:
    found = extract(response)
    assert (found.text if found else None) == expected


def test_outer_of_two_nested_boxes_is_extracted() -> None:
    assert last_box(r"\boxed{\boxed{5}}") == r"\boxed{5}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-3.50", -3.5), ("- 1", -1), ("1 6", 16), ("1 6 . 5", 16.5), ("3,675", 3675), ("3 675", 3675), ("007", 7),
        ("3{,}675", 3675), (".5", 0.5), (r"\frac { 1 6 } { 4 }", 4), (r"\frac34", 0.75), (r"\dfrac{3}{4}", 0.75), ("5e3", 5000),
        ("3/4", 0.75), (r"4 \frac { 2 } { 5 }", 4.4), (r"4\frac25", 4.4), ("8 3/4", 8.75), ("4½", 4.5), ("5 11/44", 5.25), (r"2\frac{\sqrt{9}}{2}", 3), (r"2\frac{6\pi}{4\pi}", 3),
        (r"\sqrt { 1 6 }", 4), (r"\sqrt16", 4), ("√16", 4), ("√{16}", 4), (r"10 \sqrt 4", 20), (r"\sqrt[3]{27}", 3), ("∛27", 3), (r"\sqrt[3]{-8}", -2), ("sqrt(16)", 4),
        ("2(3+4)", 14), (r"2 \cdot 3 \times 4", 24), (r"6 \div 4", 1.5), ("2^3", 8), ("2**3", 8), ("4^{-1}", 0.25), ("4^{1/2}", 2), ("2^10", 1024), ("4*-3", -12),
        (r"5.4 \times 10^3", 5400), (r"\left(5\right)", 5), (r"1 - 2 - 3", -4), ("12 / 3 / 2", 2), ("-2^2", -4), (r"\frac{-6}{-4}", 1.5), ("6/2(3)", 9),
        (r"\frac{15\sqrt4}{2}", 15), ("５２", 52), ("−７", -7), ("5²", 25), (r"\text{5}", 5), ("$5$", 5), ("5.", 5), (r"0.\overline{3} \cdot 3", 1), (r"1.1\overline{6} \cdot 6", 7),
        (r"\sin 30^\circ", 0.5), (r"\cos{60^\circ}", 0.5), (r"4\tan(45^\circ)", 4), (r"\sin\frac{\pi}{6}", 0.5), (r"\cos 180°", -1), ("2:4", 0.5), ("112°30'", 112.5), ("0°0'36''", 0.01),
    ],
)  # fmt: skip
def test_values(text: str, value: float) -> None:
    assert float(value_of(text).value) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        (r"16*\pi/5", "10.0530964914873383630804588264"),  # 3.2 pi
        (r"\sqrt{2}", "1.4142135623730950488016887242096980785696"),
        (r"\sin 18^\circ", "0.3090169943749474241022934171828190588601"),  # (sqrt 5 - 1) / 4
        (r"\sqrt[3]{2}", "1.259921049894873164767210607278228350570"),
    ],
)
def test_values_are_accurate_to_forty_digits(text: str, digits: str) -> None:
    assert str(value_of(text).value).startswith(digits)


def test_pi_has_fifty_digits() -> None:
    assert str(PI).startswith("3.14159265358979323846264338327950288419716939937510")


def test_integers_are_exact_beyond_float_precision() -> None:
    assert verify(boxed("9007199254740993"), "9007199254740993").correct
    assert not verify(boxed("9007199254740993"), "9007199254740992").correct
    assert not verify(boxed("12.00000000000000000000000000001"), "12").correct


@pytest.mark.parametrize(
    "text",
    [
        "", "inf", "27 28", "8**8**8**8", "8^{8^{8^{8}}}", "10^13", "10^{-13}", "1/0", r"\frac{1}{1-1}", r"\sqrt{-4}", r"\frac123",
        "0^0", "(-8)^{1/3}", "2^", "2+", "*2", "(2", "2)", "{2)", r"\sqrt[1]{4}", r"\sqrt[99]{4}", "1" * 31, "2^3^4", "--5", "1..2",
        "٣", "9" * 401, "(" * 25 + "1" + ")" * 25, r"\sqrt" * 100 + "2", r"8\frac{35}{4}", "1+" * 150 + "1", r"\tan 90^\circ", r"\sin 30",
        r"\int x", "10^12*10^12*10^12", "((((10^{-12})^{12})^{12})^{12})", "0.333...", "12 apples", "27!", "<script>", "__import__('os')",
        "lambda: 0", "1;DROP TABLE", "\x00", "\ud800", "27\u202e", "²²", r"\sqrt{\sqrt{-1}}", r"\frac{1}{\sqrt{2}\sqrt{2}-2}", r"\sin{(10^7)^\circ}",
    ],
)  # fmt: skip
def test_text_without_single_bounded_value_is_rejected(text: str) -> None:
    with pytest.raises(ParseError):
        value_of(text)


@pytest.mark.parametrize(
    "text", ["27 or 28", r"27 \pm 1", "12 = 13", "1 < x < 3", "[1, 2)", "5 cm = 5 m", r"27 \neq 28", "27–28"]
)
def test_several_answers_are_wrong_rather_than_unparsable(text: str) -> None:
    with pytest.raises(AmbiguousAnswerError):
        parse_answer(text)
    assert verify(boxed(text), "27").kind == "wrong"


def test_nesting_up_to_the_limit_is_parsed() -> None:
    brackets = MAX_DEPTH - 1  # the number inside is the deepest level
    assert evaluate(parse("(" * brackets + "7" + ")" * brackets), {}) == 7
    with pytest.raises(ParseError, match="nested"):
        parse("(" * MAX_DEPTH + "7" + ")" * MAX_DEPTH)


def test_sums_up_to_the_limit_are_parsed() -> None:
    terms = MAX_TOKENS // 2  # each term except the last has a sign
    assert evaluate(parse("+".join("1" * terms)), {}) == terms
    with pytest.raises(ParseError, match="symbols"):
        parse("+".join("1" * (terms + 1)))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("52°", Unit("°")), (r"52^\circ", Unit("°")), (r"52 ^ { \circ }", Unit("°")), ("52 degrees", Unit("°")), (r"52^{\text{o}}", Unit("°")), ("52º", Unit("°")),
        ("39cm", Unit("cm")), (r"39\text{ cm}^2", Unit("cm", 2)), ("39 cm²", Unit("cm", 2)), ("3 m", Unit("m")), (r"39\,\mathrm{cm}", Unit("cm")), ("39 cm2", Unit("cm", 2)),
        ("38 square inches", Unit("in", 2)), ("20√{2}海里", Unit("nmi")), ("45\\%", Unit("%")), ("7 units", Unit("unit")), ("7 cubic feet", Unit("ft", 3)),
        ("12平方厘米", Unit("cm", 2)), ("4.40米", Unit("m")), ("7 meters squared", Unit("m", 2)), ("5 km/h", Unit("km/h")),
        (r"4\pi cm", Unit("cm")), ("7", None), ("cm", None), (r"\pi", None), ("min", None), ("33x", None), (r"\$7", Unit("$")),
    ],
)  # fmt: skip
def test_units(text: str, unit: Unit | None) -> None:
    assert split_unit(normalise(text))[1] == unit


@pytest.mark.parametrize(
    ("response", "answer", "kind"),
    [
        (boxed("5"), "5", "right"),
        (boxed("6"), "5", "wrong"),
        (boxed("5 or 6"), "5", "wrong"),
        (boxed("x + 5"), "5", "wrong"),
        (boxed("%#!"), "5", "unparsable"),
        (boxed("9" * 3000), "5", "unparsable"),
        ("no idea", "5", "unparsable"),
        ("I have no idea. Sorry.", "5", "no_answer"),
        (boxed(" "), "5", "no_answer"),
        ("", "5", "no_answer"),
    ],
)
def test_verdict_kinds(response: str, answer: str, kind: str) -> None:
    assert verify(response, answer).kind == kind


def test_empty_box_is_wrong_with_its_reason() -> None:
    verdict = verify(r"\boxed{5} \boxed{ }", "5")
    assert verdict == Verdict(False, "", "the box is empty", "no_answer", "1")


@pytest.mark.parametrize("truth", ["", " ", "$$"])
def test_empty_truth_equals_no_answer(truth: str) -> None:
    for answer in ("", " ", "$$", "0", "x"):
        assert not verify(boxed(answer), truth).correct


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12.50", "the decimal number 12.5"), ("B", "the letter B"), (r"4\frac25", "the exact number 4.4"), ("x = 12 cm^2", "the integer number 12, unit cm^2, named 'x'"),
        ("90-w", "the formula (90 - w)"), ("x<60", "the relation (x - 60) < 0"), ("(1, 2)", "2 parts: the integer number 1; the integer number 2"), ("sphere", "text (it contains words)"),
        (r"\sqrt[3]{x}", "the formula root(x, 3)"), (r"\sin{x^\circ}", "the formula sin(x)"),
    ],
)  # fmt: skip
def test_descriptions(text: str, words: str) -> None:
    assert describe(text) == words


def test_command_line_explains_verdict() -> None:
    command = [sys.executable, "-m", "vlm_uec.verifier", "--answer", "31", "--response", r"\boxed{B}"]
    shown = subprocess.run(
        [*command, "--choices", *CHOICES], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert "right" in shown and "the letter B" in shown and "choice B is the truth (rule 7" in shown


def test_import_loads_no_large_package() -> None:
    code = "import sys, vlm_uec.verifier; print(sorted({'torch', 'sympy', 'mpmath', 'numpy'} & set(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert shown.strip() == "[]"


@pytest.mark.skipif(not CASES.exists(), reason="the shared case set is not next to this checkout")
def test_all_shared_cases_get_their_expected_verdict() -> None:
    wrong = []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        verdict = verify(
            case["response"], case["answer"], choices=case.get("choices"), precision=case.get("precision")
        )
        if verdict.correct != case["expected"]:
            wrong.append((case["id"], verdict.reason))
    assert wrong == []


@pytest.mark.skipif(not SHARED.exists(), reason="the real data sets are not next to this checkout")
def test_every_geometry3k_truth_equals_itself() -> None:
    lines = [
        line
        for name in ("train", "val", "test")
        for line in (SHARED / f"data/geometry3k/{name}.jsonl").read_text().splitlines()
    ]
    answers = [json.loads(line)["answer"] for line in lines]
    assert len(answers) == 3002
    assert [answer for answer in answers if not verify(boxed(answer), answer).correct] == []


@pytest.mark.skipif(not SHARED.exists(), reason="the real data sets are not next to this checkout")
def test_only_the_true_choice_of_real_questions_is_right() -> None:
    """By text and by letter, with and without listed choices, on the choices of MathVista and Geometry3K."""
    questions = [
        (q["answer"], q["choices"])
        for q in json.loads((SHARED / "data/mathvista/testmini.json").read_text()).values()
        if q["choices"]
    ]
    for path in (SHARED / "data/geometry3k/raw").glob("*/*/data.json"):
        record = json.loads(path.read_text())
        questions.append((record["choices"]["ABCD".index(record["answer"])], record["choices"]))
    assert len(questions) > 800
    for answer, choices in questions:
        for letter, choice in zip("ABCDEFGHIJ", choices, strict=False):
            for listed in (choices, None):
                assert verify(boxed(choice), answer, choices=listed).correct is (choice == answer), (
                    choice,
                    answer,
                )
            assert verify(boxed(f"({letter}) {choice}"), answer, choices=choices).correct is (
                choice == answer
            )
