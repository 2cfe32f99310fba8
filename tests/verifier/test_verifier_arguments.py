"""`verify` with arguments of any type: numbers, numpy, torch, None and objects that raise."""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from vlm_uec.errors import UserError
from vlm_uec.verifier import VERDICT_KINDS, InvalidArgument, Strictness, verify
from vlm_uec.verifier.arguments import MAX_LISTED, decimals_of, text_of, texts_of

BOX = r"\boxed{3.92}"
HUGE = 10**5000  # more digits than Python converts to text


class Hostile:
    """Its every method that a conversion may call raises."""

    def fail(self, *_: object) -> Any:
        raise RuntimeError("no")

    __str__ = __repr__ = __iter__ = __index__ = __float__ = __len__ = __bool__ = __eq__ = fail
    __hash__ = None  # type: ignore[assignment]
    tolist = property(fail)


@pytest.mark.parametrize(
    ("value", "decimals"),
    [
        (None, None), (1, 1), (1.0, 1), (0.0, 0), (-0.0, 0), (True, 1), (np.int32(2), 2), (np.uint8(2), 2),
        (np.float64(2.0), 2), (np.float32(3.0), 3), (np.array(1), 1), (np.array(1.0), 1), (Decimal("2.0"), 2),
        (Fraction(4, 2), 2), (torch.tensor(1), 1), (torch.tensor(2.0), 2), (-3, 0), pytest.param(HUGE, 30, id="huge"), (1e300, 30),
    ],
)  # fmt: skip
def test_integral_precision_is_taken(value: object, decimals: int | None) -> None:
    assert decimals_of(value) == decimals


@pytest.mark.parametrize(
    "value",
    [1.5, math.nan, math.inf, -math.inf, "1", "1.0", b"1", "", [], [1], {}, np.array([1.0]), np.array([1, 2]),
     np.float32(0.5), Decimal("1.5"), Decimal("NaN"), Fraction(1, 2), 1j, object(), Hostile(), torch.ones(2)],
)  # fmt: skip
def test_other_precision_is_refused_with_one_type(value: object) -> None:
    with pytest.raises(InvalidArgument, match=r"precision .*: give a whole number of decimals, or None"):
        verify(BOX, "3.9", precision=value)


def test_a_refusal_is_a_user_error_of_one_line_and_a_value_error() -> None:
    with pytest.raises(UserError) as caught:
        verify(BOX, "3.9", precision="1\n2" * 100)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("precision", "right"), [(1.0, True), (np.float64(1.0), True), (1, True), (2.0, False), (None, True)]
)
def test_precision_as_mathvistas_files_have_it(precision: object, right: bool) -> None:
    assert verify(BOX, "3.9", precision=precision).correct is right


@pytest.mark.parametrize(
    ("truth", "right", "wrong"),
    [
        (12, "12", "13"), (12.0, "12", "12.04"), (8.7, r"5\sqrt{3}", "8.6"), (np.float32(8.7), "8.7", "8.6"),
        (np.float64(8.7), "8.66", "8.76"), (np.int64(-7), "-7", "7"), (np.array(12), "12", "13"),
        (np.array([1998, 2003]), "1998, 2003", "2003, 1998"), ([1998, 2003], "(1998, 2003)", "1998"),
        (("x", 2), "(x, 2)", "(2, x)"), (torch.tensor(12), "12", "13"), (Decimal("12.50"), "12.5", "12.4"),
        (Fraction(35, 4), "8.75", "8.7"), (1e-7, "0.0000001", "0.000001"), (1e20, r"10^{10} \cdot 10^{10}", "10^{10}"),
        (np.str_("31"), "31", "32"), (b"31", "31", "32"), (True, "True", "1"), (np.bool_(False), "False", "0"),
    ],
)  # fmt: skip
def test_numbers_and_lists_as_truths(truth: object, right: str, wrong: str) -> None:
    assert verify(rf"\boxed{{{right}}}", truth).correct
    assert not verify(rf"\boxed{{{wrong}}}", truth).correct


@pytest.mark.parametrize(
    "truth", [None, math.nan, math.inf, {}, object(), Hostile(), pytest.param(HUGE, id="huge")]
)
@pytest.mark.parametrize("answer", ["nan", "inf", "None", "", "0", "12", "{}", "x"])
def test_a_truth_without_text_equals_no_answer(truth: object, answer: str) -> None:
    verdict = verify(rf"\boxed{{{answer}}}", truth, choices=["None", "nan", "12"])
    assert not verdict.correct
    assert verdict.kind in ("wrong", "no_answer")


@pytest.mark.parametrize(
    ("response", "right"),
    [
        (12, True), (12.0, True), (np.int64(12), True), (np.float32(12.0), True), (Decimal(12), True), (13, False),
        (b"\\boxed{12}", True), (b"\xff\\boxed{12}", True), (np.str_("\\boxed{12}"), True), (math.nan, False),
        (None, False), ({}, False), (object(), False), (Hostile(), False), (torch.ones(2), False),
    ],
)  # fmt: skip
def test_responses_of_any_type(response: object, right: bool) -> None:
    assert verify(response, "12").correct is right


def test_a_response_without_text_says_so() -> None:
    assert verify(None, "12").reason == "the response is None, not text"
    assert verify({"text": "12"}, "12").reason == "the response is of type dict, not text"
    assert verify("12", None).reason == "the truth is None, neither text nor a number"


@pytest.mark.parametrize(
    "choices",
    [
        ["22", "31", "43"], ("22", "31", "43"), np.array(["22", "31", "43"]), np.array([22, 31, 43]),
        np.array([22.0, 31.0, 43.0], dtype=np.float32), [22, 31.0, np.int8(43)], iter(["22", "31", "43"]),
        {"A": "22", "B": 31, "C": "43"}, np.array(["22", 31, None], dtype=object), torch.tensor([22, 31, 43]),
        [None, "31", Hostile()], {"22": 0, "31": 0, "43": 0}.keys(),
    ],
)  # fmt: skip
def test_choices_of_any_collection(choices: Any) -> None:
    listed = texts_of(choices)
    assert listed[1] == "31"
    assert verify(r"\boxed{B}", "31", choices=listed).correct
    assert not verify(r"\boxed{A}", "31", choices=listed).correct


@pytest.mark.parametrize("choices", [None, (), [], np.array([]), {}, Hostile()])
def test_no_choices_give_letters_no_meaning(choices: object) -> None:
    assert not verify(r"\boxed{A}", "31", choices=choices).correct
    assert verify(r"\boxed{31}", 31, choices=choices).correct


def test_a_single_choice_and_an_endless_collection() -> None:
    assert texts_of("31") == ("31",)
    assert texts_of(31) == ("31",)
    assert len(texts_of(iter(int, 1))) == MAX_LISTED


def test_numbers_are_written_in_full() -> None:
    assert [text_of(value) for value in (3.0, 1e-7, 2.50, -0.5, 1e16)] == [
        "3", "0.0000001", "2.5", "-0.5", "10000000000000000",
    ]  # fmt: skip
    assert text_of(Decimal("1e999999999")) == "1E+999999999"  # written in full it would have a gigabyte


@pytest.mark.parametrize("name", ["thinking", "statements"])
@pytest.mark.parametrize("value", ["", "yes", None, 1, ["accept"], np.array(["ignore"])])
def test_unknown_strictness_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=f"{name} .*: give '"):
        Strictness(**{name: value})  # type: ignore[arg-type]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary()
    | st.decimals() | st.fractions() | st.builds(object) | st.builds(Hostile)
    | numpy_st.from_dtype(np.dtype("f4")) | numpy_st.from_dtype(np.dtype("i8"))
    | numpy_st.arrays(np.dtype("f8"), numpy_st.array_shapes(min_dims=0, max_dims=2, max_side=3)),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
responses = anything | st.text().map(lambda text: rf"\boxed{{{text}}}")


@settings(deadline=None, max_examples=400)
@given(responses, anything, anything)
def test_no_response_truth_or_choices_raise(response: object, truth: object, choices: object) -> None:
    assert verify(response, truth, choices=choices).kind in VERDICT_KINDS


@settings(deadline=None, max_examples=200)
@given(anything)
def test_a_precision_is_taken_or_refused(precision: object) -> None:
    try:
        verdict = verify(BOX, "3.9", precision=precision)
    except InvalidArgument as error:
        assert str(error).isprintable()
    else:
        assert verdict.kind in VERDICT_KINDS
