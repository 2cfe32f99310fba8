"""Read the core of a sentence: `AB = 15`, `15 is the answer`, `it has 12 sides`, `故选C` (rules 1 and 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from vlm_uec.verifier.doubt import is_hearsay
from vlm_uec.verifier.normalise import normalise
from vlm_uec.verifier.quantity_names import MAX_NAME_LENGTH, is_answer_phrase, is_name, is_symbol
from vlm_uec.verifier.reasons import is_harmless

MAX_VALUE_LENGTH = 200
MAX_SYMBOL_LENGTH = 3


@dataclass(frozen=True, slots=True)
class Assertion:
    """`kind`: of the final answer, of a named quantity, or a bare value.

    `others`: further values that the sentence asserts. They must be right as well. `name`: of the quantity.
    """

    value: str
    kind: Literal["answer", "named", "bare"]
    others: tuple[str, ...] = ()
    name: str = ""


SEPARATOR = re.compile(
    r"\s(?:is|are|equals|measures|becomes|must be|has to be|will be|(?:comes|amounts|adds up|works"
    r"|turns) (?:out )?(?:to be|to|as)"
    r"|evaluates to|simplifies to|reduces to)(?=[\s:])"
    r"(?:\s+(?:equal to|found to be|calculated to be|given by|therefore|thus|simply|exactly|clearly"
    r"|also))*\s*:?"
    r"|[:：=＝]|(?<!\bis)\s?\\approx(?![A-Za-z])|[≈≔]|约?(?:是|为(?!什)|等于)约?\s*[:：]?"
)
_VALUE_FIRST = re.compile(
    r"(.+?)\s+(?:is|are)\s+(?:therefore |thus )?(?:the|our|my)\s+(?:(?:final|correct|right|required"
    r"|exact|desired)\s+)*"
    r"(?:answer|solution|result|choice|option|value)(?:\s+(?:to|for)\s+(?:the|this)\s+(?:question|problem))?",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    r"(?:we (?:choose|select|pick|mark)|(?:the )?(?:correct )?(?:option|choice"
    r"|answer)(?: is)?)\s+(?:option |choice |answer )?"
    r"\(?(?P<a>[A-H])\)?(?:\s+is (?:the )?(?:correct|right)(?: (?:answer|choice|option|one))?)?"
    r"|\(?(?P<b>[A-H])\)? is (?:the )?(?:correct|right)(?: (?:answer|choice|option|one))?"
    r"|(?:本题|此题|该题)?(?:的?(?:正确)?答案)?(?:故|应|所以|因此)?[，,]?(?:应?选择?|选项)(?:答案"
    r"|选项)?\s*[:：]?\s*[(（]?(?P<c>[A-H])[)）]?(?:选项|项)?"
    r"(?:\s*是?正确的?)?\s*(?:[.．、，,:：]\s*(?:即|也就是)?\s*(?P<content>\S.*))?"
    r"|[(（]?(?P<d>[A-H])[)）]?选项(?:是|为)?正确(?:的|答案)?",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?:has|contains|consists of|there are) (?:exactly |a total of )?(?P<count>[0-9]{1,6}"
    r" (?:sides|vertices|edges|faces|corners|diagonals|angles|triangles))",
    re.IGNORECASE,
)
_CHINESE_COUNT = re.compile(
    r"(?P<name>[^0-9]{2,20}?)共?有\s?(?P<count>[0-9]{1,6})\s?(?:条边|个顶点|条棱|个面|条对角线)"
)
_HAS_QUANTITY = re.compile(
    r"(?P<owner>.+?) (?:has|have) (?:an? )?(?P<name>[a-z ]{3,30}?) (?:(?:of|equal to) (?P<value>.+)"
    r"|(?P<number>[0-9\\$].*))",
    re.IGNORECASE,
)
_OBTAINED = re.compile(r"(?P<name>(?:an?|the) [a-z ]{3,40}?) of (?P<value>[-0-9$\\√].*)", re.IGNORECASE)
_LENGTHWISE = re.compile(
    r"\s+(?:long|wide|tall|high|deep|in (?:length|area|width|height|total))$", re.IGNORECASE
)
_FOREIGN = re.compile(
    r"^(?:an?|your|its|which)\b|\b(?:other|and|third)\b|['’]s\b|\bof (?:the |this "
    r"|our )?(?:final )?(?:answer|result|solution)",
    re.IGNORECASE,
)
_SUM_OF_VARIABLES = re.compile(r"[A-Za-z](?:\s*\+\s*[A-Za-z]){1,5}")
_CHINESE_ANSWER = re.compile(
    r"(?:本题|此题|该题|这题|这道题|这个问题|本小题|该问题|题目)?的?(?:最终|最后|正确|所求)?的?"
    r"(?:答案|结果|选项|答)(?:即|就)?"
)
_CHINESE_QUANTITY = re.compile(
    r"(?=.*[\u4e00-\u9fff]).{0,60}?(?:面积|周长|长度|长|度数|大小|体积|半径|直径|值|距离|高|宽|高度|宽度"
    r"|深度|角|边|斜边|边数|数|比|腰|和|坐标|方程|解析式|表达式|多边形|[A-Za-z∠])|∠[A-Z0-9]{1,3}"
)
_CHINESE_GIVEN = re.compile(r"[设令取试代把将当]|已知|求证|要证|题[中目]|检?验")
_REPLY_VERB = re.compile(
    r"[^0-9，。；;,答案结果=≈]{1,30}(?:相距|走了|行了|行驶了?|航行了?|飞行了?|移动了?|上升了?|下降了?|需要?|用了|花了"
    r"|剩下?|[长高宽深有约])(?P<value>[-0-9\\√].*)"
)
_OPEN_REPLY_NAME = re.compile(r"[^0-9，。；;,答案结果]{1,30}")
_WORDS = re.compile(r"[A-Za-z]{3,}(?: [A-Za-z]+)*")
_LONG_LABEL = re.compile(r"[A-Z]{4,}")
_CHOICE = re.compile(r"(?:(?:the )?(?:option|choice) )?\(?([A-H])\)?", re.IGNORECASE)
_COLONS = (":", "：")
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?(?:°| ?[A-Za-z]{1,8}\.?[²2]?)?")
_PLAIN_WORDS = re.compile(r"[A-Za-z ]+")
_NOT_A_QUANTITY = re.compile(
    r"^(?:given|known|assumed)\b|\b(?:problem|question|figure|step) number\b|^(?:total )?points$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^an? (?=[a-z]{4,}$)")  # `it is a sphere`
_NOT_A_VALUE = re.compile(r"(?:because|since|due to|by|from|as|that|when)\b", re.IGNORECASE)
MARKS = " \t*_"


def read_core(text: str, is_reply: bool, concluded: bool) -> Assertion | None:
    """The value of a sentence without premises and reasons.

    `is_reply`: behind `答：`, where any name will do; `concluded`: behind `so` or `therefore`.
    """
    text = text.strip()
    if not text or len(text) > MAX_VALUE_LENGTH + 150:
        return None
    if chosen := _CHOSEN.fullmatch(text):
        letter = chosen["a"] or chosen["b"] or chosen["c"] or chosen["d"]
        return Assertion(f"{letter}. {chosen['content']}" if chosen["content"] else letter, "answer")
    if (" is " in text or " are " in text) and (first := _VALUE_FIRST.fullmatch(text)):
        return _answer(first[1])
    for read in (_read_count, _read_quantity):
        if found := read(text):
            return found
    if concluded and (obtained := _OBTAINED.fullmatch(text)) and _is_known_name(obtained["name"]):
        return Assertion(obtained["value"], "named")
    return _read_separated(text, is_reply, concluded)


def _answer(value: str) -> Assertion | None:
    return Assertion(value.strip(), "answer") if 0 < len(value.strip()) <= MAX_VALUE_LENGTH else None


def _read_count(text: str) -> Assertion | None:
    """`The polygon has 12 sides`, `该多边形有12条边`."""
    if chinese := _CHINESE_COUNT.fullmatch(text):
        return Assertion(chinese["count"], "named") if is_harmless(chinese["name"]) else None
    if text[:10].casefold() == "there are ":
        match = _COUNT.fullmatch(text)
        return Assertion(match["count"], "named") if match else None
    name, _, rest = text.partition(" has ")
    match = _COUNT.fullmatch(f"has {rest}") if rest else None
    return Assertion(match["count"], "named") if match and _is_known_name(name) else None


def _read_quantity(text: str) -> Assertion | None:
    match = _HAS_QUANTITY.fullmatch(text) if " ha" in text else None
    if match is None or not _is_known_name(match["owner"]) or not _is_known_name(match["name"]):
        return None
    return Assertion(match["value"] or match["number"], "named")


def _read_separated(text: str, is_reply: bool, concluded: bool) -> Assertion | None:
    """`name is value`; without a separator a bare value."""
    separator = SEPARATOR.search(text)
    if separator is None:
        return _read_unseparated(text, is_reply, concluded)
    name = text[: separator.start()].strip(MARKS + ":：")
    value = _ARTICLE.sub("", _LENGTHWISE.sub("", text[separator.end() :].strip(MARKS)))
    if not value or len(value) > MAX_VALUE_LENGTH or _NOT_A_VALUE.match(value):
        return None
    choice = _CHOICE.fullmatch(name)
    if choice and (separator[0].strip() in _COLONS or len(name) > 1):
        return Assertion(f"{choice[1].upper()}: {value}", "answer")  # `option C: 72`
    if _CHINESE_ANSWER.fullmatch(name) or (is_answer_phrase(name) and not _FOREIGN.search(name)):
        return Assertion(value, "answer")
    if is_answer_phrase(name) or _NOT_A_QUANTITY.search(name):
        return None
    named = _named_value(text, name, separator[0].strip(), value, is_reply)
    return None if named is None else Assertion(named, "named", name=same_name(name))


def _read_unseparated(text: str, is_reply: bool, concluded: bool) -> Assertion | None:
    """A bare value, or the value behind a verb: `答：两船相距20海里`."""
    if is_reply and (replied := _REPLY_VERB.fullmatch(text)):
        return None if is_hearsay(text) else Assertion(replied["value"], "named")
    return Assertion(text, "named" if concluded else "bare") if len(text) <= MAX_VALUE_LENGTH else None


def same_name(name: str) -> str:
    """One spelling of the name of a quantity: `The area`, `the area`; the symbols a and A differ."""
    bare = name.strip("$ ").removeprefix("The ").removeprefix("the ")
    return bare if len(bare) <= MAX_SYMBOL_LENGTH else bare.casefold()


def _is_known_name(text: str) -> bool:
    """`is_name` of the normalised text; plain words need no normalisation."""
    return len(text) <= MAX_NAME_LENGTH and is_name(text if _PLAIN_WORDS.fullmatch(text) else normalise(text))


def _named_value(text: str, name: str, sign: str, value: str, is_reply: bool) -> str | None:
    """The value with the name of a symbol such as x, which must be the truth's, and without a phrase."""
    if _is_known_name(name):
        if sign in _COLONS and _LONG_LABEL.fullmatch(name):
            return None  # `GOLD: 15`
        if is_symbol(normalise(name)):
            return f"{name} = {value}"
        if _is_calculation(value):
            return f"= {value}"
        return None if sign == "=" and _WORDS.fullmatch(value) else value  # `cube = sphere`
    if _is_chinese_name(name, is_reply):
        return f"= {value}" if _is_calculation(value) else value
    is_sum = _SUM_OF_VARIABLES.fullmatch(name.strip("$ ")) and text.count("=") >= 2
    return text if is_sum else None


def _is_calculation(value: str) -> bool:
    """`PC + CD + PD = 4 + 8 + 4 = 16` behind `the perimeter is`: the formulas are no further values."""
    return "=" in value and is_number(value)


def is_number(value: str) -> bool:
    """Whether the value of a quantity is a number, perhaps with a unit, rather than a formula."""
    return _NUMBER.fullmatch(value.rsplit("=", maxsplit=1)[-1].strip(MARKS + "$.")) is not None


def _is_chinese_name(name: str, is_reply: bool) -> bool:
    if _CHINESE_GIVEN.search(name):
        return False
    if _CHINESE_QUANTITY.fullmatch(name) and is_harmless(name) and not re.search(r"(?<!∠)[0-9]", name):
        return True
    return is_reply and _OPEN_REPLY_NAME.fullmatch(name) is not None and not is_hearsay(name)
