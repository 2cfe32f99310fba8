"""The border of right and wrong: labelled texts, and statements with hedges, values and reasons inserted."""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verifier.border_cases import CASES
from vlm_uec.verifier import verify


@pytest.mark.parametrize(("text", "truth", "choices", "right"), CASES)
def test_labelled_texts(text: str, truth: str, choices: list[str], right: bool) -> None:
    verdict = verify(text, truth, choices=choices)
    assert verdict.correct is right, (verdict.extracted, verdict.reason)


NUMBERS = st.integers(2, 997)
ENGLISH = [
    "The answer is {}.", "Therefore, the answer is {}.", "By the Pythagorean theorem, the hypotenuse is {}.", "So x = {}.",
    "Solving for x, we get x = {}.", "The area of the triangle is {} cm².", "{} is the answer.", "Thus the length of AB is {}.",
    "∴ AB = {}", "The perimeter comes out to {} cm.", "The polygon has {} sides.", "Answer: {}", "In triangle ABC, the measure of angle A is {}°.",
]  # fmt: skip
CHINESE = [
    "答案是{}。",
    "因此AB的长为{}。",
    "∴ ∠A={}°",
    "故答案为：{}",
    "答：塔高为{}米。",
    "由勾股定理，得AB={}。",
    "所以三角形的面积是{}。",
]
ENGLISH_REASONS = [
    "This follows from the Pythagorean theorem.", "This is because the triangles are similar.", "Since the lines are parallel, the angles are equal.",
    "Because opposite sides are equal.", "I hope this helps!", "Explanation: the sum of the angles is 180°.", "Let me know if you have any questions.",
]  # fmt: skip
CHINESE_REASONS = ["因为两个三角形相似。", "这是因为对边相等。", "根据勾股定理可得。", "理由：内角和为180°。"]
ENGLISH_DOUBTS = [
    "not", "never", "maybe", "perhaps", "possibly", "probably", "if", "unless", "supposing", "assuming", "allegedly not", "apparently", "seems", "wrong",
    "cannot", "I guess", "either", "could", "might", "hypothetically", "but",
]  # fmt: skip
CHINESE_DOUBTS = [
    "不",
    "可能",
    "也许",
    "或",
    "如果",
    "假设",
    "大概",
    "似乎",
    "未必",
    "若",
    "应该",
    "没",
    "错",
]
BEHIND = [
    "This contradicts the figure.", "That was only the hypothetical case.", "Wait, no.", "That is wrong.", "Actually, it is another value.", "I am not sure.",
    "This is the answer of my classmate.", "But this is impossible.", "Ignore that.", "We still have to subtract the circle.", "这与图矛盾。", "不对。", "这只是假设。",
]  # fmt: skip
BEFORE = [
    "Suppose the triangle is right-angled.", "If AB were 3, we could go on.", "A classmate says:", "I am not sure.", "It is just a guess.", "Assume x is even.",
    "My friend told me this:", "如果是正方形。", "假设AB=3。", "同学说：", "我不确定。", "有人说：",
]  # fmt: skip
SECOND_VALUES = [
    "So x = {}.", "The answer is {}.", "{}", "Or {}.", "Then the area is {}.", "Alternatively, {}.", "答案是{}。", "所以x={}。", "**{}**", "In other words, {}.",
]  # fmt: skip


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, int, list[str]]:
    """A sentence that states a number, the number, and sentences that give harmless reasons."""
    number, chinese = draw(NUMBERS), draw(st.booleans())
    sentence = draw(st.sampled_from(CHINESE if chinese else ENGLISH)).format(number)
    reasons = draw(st.lists(st.sampled_from(CHINESE_REASONS if chinese else ENGLISH_REASONS), max_size=3))
    return sentence, number, reasons


def earns(sentences: list[str], number: int) -> bool:
    return verify("We look at the figure.\n" + "\n".join(sentences), str(number)).correct


@settings(deadline=None, max_examples=300)
@given(statements(), NUMBERS)
def test_harmless_reasons_behind_a_statement_do_not_matter(
    statement: tuple[str, int, list[str]], other: int
) -> None:
    sentence, number, reasons = statement
    assert earns([sentence, *reasons], number)
    assert earns([sentence, *reasons], other) is (other == number)


@settings(deadline=None, max_examples=500)
@given(statements(), st.data())
def test_a_hedge_or_condition_anywhere_in_the_sentence_makes_it_no_answer(
    statement: tuple[str, int, list[str]], data: st.DataObject
) -> None:
    sentence, number, reasons = statement
    if sentence.isascii():
        words = sentence.split(" ")
        position = data.draw(st.integers(0, len(words) - 1 if words[-1][-1:] == "." else len(words)))
        doubt = data.draw(st.sampled_from(ENGLISH_DOUBTS))
        hedged = " ".join([*words[:position], doubt, *words[position:]])
    else:
        inside = [
            index for index in range(len(sentence)) if not sentence[max(index - 1, 0) : index + 1].isdigit()
        ]
        position = data.draw(st.sampled_from([*inside, len(sentence)]))
        doubt = data.draw(st.sampled_from(CHINESE_DOUBTS))
        hedged = sentence[:position] + doubt + sentence[position:]
    assert not earns([hedged, *reasons], number), hedged


@settings(deadline=None, max_examples=100)
@given(statements(), st.sampled_from(["?", "？", "??", "?!", " (?)", "吗？", ", right?", "❓", " 🤔"]))
def test_a_question_is_no_statement(statement: tuple[str, int, list[str]], mark: str) -> None:
    sentence, number, reasons = statement
    assert not earns([sentence.rstrip(".。") + mark, *reasons], number)


@settings(deadline=None, max_examples=300)
@given(statements(), st.sampled_from(BEHIND), st.data())
def test_a_retraction_anywhere_behind_a_statement_makes_it_no_answer(
    statement: tuple[str, int, list[str]], retraction: str, data: st.DataObject
) -> None:
    sentence, number, reasons = statement
    position = data.draw(st.integers(0, len(reasons)))
    assert not earns([sentence, *reasons[:position], retraction, *reasons[position:]], number)


@settings(deadline=None, max_examples=200)
@given(statements(), st.sampled_from(BEFORE))
def test_a_condition_or_hearsay_before_a_statement_makes_it_no_answer(
    statement: tuple[str, int, list[str]], condition: str
) -> None:
    sentence, number, reasons = statement
    assert not earns([condition, sentence, *reasons], number)


@settings(deadline=None, max_examples=300)
@given(statements(), st.sampled_from(SECOND_VALUES), NUMBERS, st.data())
def test_a_second_value_anywhere_behind_a_statement_makes_it_wrong(
    statement: tuple[str, int, list[str]], template: str, other: int, data: st.DataObject
) -> None:
    sentence, number, reasons = statement
    second = template.format(other if other != number else other + 1)
    position = data.draw(st.integers(0, len(reasons)))
    assert not earns([sentence, *reasons[:position], second, *reasons[position:]], number)


@settings(deadline=None, max_examples=200)
@given(
    statements(),
    NUMBERS,
    st.sampled_from(
        [" or {}", ", {}", " and {}", " / {}", " to {}", "或{}", "、{}", " (or {})", " = {}", "; {}", " {}"]
    ),
)
def test_a_second_value_beside_the_first_makes_it_wrong(
    statement: tuple[str, int, list[str]], other: int, template: str
) -> None:
    sentence, number, reasons = statement
    beside = sentence.replace(
        str(number), str(number) + template.format(other if other != number else other + 1)
    )
    assert not earns([beside, *reasons], number)
