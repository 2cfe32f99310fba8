"""Read the value that one sentence asserts: `By the theorem, AB = 15.`, `15 is the answer.`, `故选C。` (rules 1 and 8).

    sentence := [premises] core [reasons]
    core     := name "is" value | value "is the answer" | name "has" value "sides" | letter | value

The grammar is closed: names, premises and reasons consist of known words only, and the value is parsed later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from vlm_uec.verifier.doubt import is_hearsay, is_hedged, is_verbal_value
from vlm_uec.verifier.normalise import as_text, normalise
from vlm_uec.verifier.quantity_names import MAX_NAME_LENGTH, is_answer_phrase, is_name, is_symbol
from vlm_uec.verifier.reasons import is_harmless

MAX_VALUE_LENGTH = 200
MAX_SENTENCE_LENGTH = 600
MAX_PREMISES = 4


@dataclass(frozen=True, slots=True)
class Assertion:
    """`kind`: of the final answer, of a named quantity, or a bare value.

    `others`: further values that the sentence asserts. They must be right as well.
    """

    value: str
    kind: Literal["answer", "named", "bare"]
    others: tuple[str, ...] = ()


_LEAD_IN = re.compile(
    r"^(?:(?:so|therefore|thus|hence|then|finally|consequently|accordingly|overall|now|and|ok|okay"
    r"|in conclusion|in summary|as a result|to conclude|it follows that"
    r"|(?:we|i)(?: can| now| then| thus| therefore| finally)* (?:get|have|find|conclude|obtain|see|deduce)(?: that)?"
    r"|(?:this|which|that) (?:means|gives|implies|yields|shows)(?: us)?(?: that)?)\b\s*[,:]?\s*"
    r"|(?:∴|→|⇒|⟹|➡|=>|->|\\therefore|\\Rightarrow|\\implies)\s*"
    r"|(?:所以|因此|故而|故(?!事)|那么|综上所述|综上|最终(?!答)|最后|于是|即|则|可得|得到|解得|化简得|解方程得|得|答(?!案))\s*[,，:：]?\s*)+",
    re.IGNORECASE,
)
_REPLY = re.compile(r"^答\s*[:：,，]\s*(?:(?:一共|总共|共)?(?:需要?|有)(?=\s*[0-9$\\]))?")
_SEPARATOR = re.compile(
    r"\s(?:is|are|equals|measures|becomes|must be|has to be|will be|(?:comes|amounts|adds up|works|turns) (?:out )?(?:to be|to|as)"
    r"|evaluates to|simplifies to|reduces to)(?=[\s:])"
    r"(?:\s+(?:equal to|found to be|calculated to be|given by|therefore|thus|simply|exactly|clearly|also))*\s*:?"
    r"|[:：=＝]|(?<!\bis)\s?\\approx(?![A-Za-z])|[≈≔]|(?:是|为(?!什)|等于)\s*[:：]?"
)
_CONNECTIVE = re.compile(
    r"(?:[,;]\s*(?:and\s+)?|\s+and\s+)(?:so|therefore|thus|hence|then|consequently)\b,?\s*"
    r"|[,;]\s*(?:which|and this|this|it|and it)\s+(?:gives|means|implies|yields|shows)\b(?: us)?(?: that)?\s*"
    r"|[,;]\s*(?:giving|yielding|so that)\s+|[,;]\s*we (?:get|have|find|obtain)\b(?: that)?\s*"
    r"|\s(?:gives|yields|implies)\b(?: us)?(?: that)?\s+"
    r"|\s+(?:→|⟶)\s+|\s*(?:⇒|⟹|∴|=>|\\Rightarrow(?![A-Za-z])|\\implies(?![A-Za-z])|\\therefore(?![A-Za-z]))\s*"
    r"|[，,；;]?\s*(?:所以|因此|故(?!事)|从而|于是|可得|可知|解得|解方程得|求得|得到|(?<=[，,理])得|(?<=[，,])则)\s*[，,:：]?\s*",
    re.IGNORECASE,
)
_SUFFIX = re.compile(
    r"\s*[,;(—–]?\s+\(?(?:since|because|due to|thanks to)\b|\s*[,;(—–]\s*(?:as|by|using|from|which)\b"
    r"|\s+(?:by|using) (?=the |our |its |similar|symmetry|[A-Z])|\s*[，,；;（(]\s*(?:因为|由于|理由|这是因为|根据)",
    re.IGNORECASE,
)
_PREMISE = re.compile(
    r"(?:by|using|applying|from|since|because|as|given|after|on|upon|in|with|according to|for|first|because of|[a-z]+ing)\b"
    r"|[由在因根∵利]|\\because",
    re.IGNORECASE,
)
_PREMISE_END = re.compile(r",\s+|，\s*")
_CONDITION = re.compile(
    r"(?:for|with|when|in)\b.*=|(?:for|with|in) (?:an?|any|all|every)\b|.*(?:\bcases?\b|时$)", re.IGNORECASE
)
_VALUE_FIRST = re.compile(
    r"(.+?)\s+(?:is|are)\s+(?:therefore |thus )?(?:the|our|my)\s+(?:(?:final|correct|right|required|exact|desired)\s+)*"
    r"(?:answer|solution|result|choice|option|value)(?:\s+(?:to|for)\s+(?:the|this)\s+(?:question|problem))?",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    r"(?:we (?:choose|select|pick|mark)|(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?)\s+(?:option |choice |answer )?"
    r"\(?(?P<a>[A-H])\)?(?:\s+is (?:the )?(?:correct|right)(?: (?:answer|choice|option|one))?)?"
    r"|\(?(?P<b>[A-H])\)? is (?:the )?(?:correct|right)(?: (?:answer|choice|option|one))?"
    r"|(?:本题|此题|该题)?(?:的?(?:正确)?答案)?(?:故|应|所以|因此)?[，,]?(?:应?选择?|选项)(?:答案|选项)?\s*[:：]?\s*[(（]?(?P<c>[A-H])[)）]?(?:选项|项)?"
    r"(?:\s*是?正确的?)?\s*(?:[.．、，,:：]\s*(?:即|也就是)?\s*(?P<content>\S.*))?"
    r"|[(（]?(?P<d>[A-H])[)）]?选项(?:是|为)?正确(?:的|答案)?",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?:has|contains|consists of) (?:exactly |a total of )?(?P<count>[0-9]{1,6}"
    r" (?:sides|vertices|edges|faces|corners|diagonals|angles|triangles))",
    re.IGNORECASE,
)
_CHINESE_COUNT = re.compile(
    r"(?P<name>[^0-9]{2,20}?)共?有\s?(?P<count>[0-9]{1,6})\s?(?:条边|个顶点|条棱|个面|条对角线)"
)
_HAS_QUANTITY = re.compile(
    r"(?P<owner>.+?) (?:has|have) (?:an? )?(?P<name>[a-z ]{3,30}?) (?:(?:of|equal to) (?P<value>.+)|(?P<number>[0-9\\$].*))",
    re.IGNORECASE,
)
_OBTAINED = re.compile(r"(?P<name>(?:an?|the) [a-z ]{3,40}?) of (?P<value>[-0-9$\\√].*)", re.IGNORECASE)
_LENGTHWISE = re.compile(
    r"\s+(?:long|wide|tall|high|deep|in (?:length|area|width|height|total))$", re.IGNORECASE
)
_FOREIGN = re.compile(
    r"^(?:an?|your|its|which)\b|\b(?:other|and|third)\b|['’]s\b|\bof (?:the |this |our )?(?:final )?(?:answer|result|solution)",
    re.IGNORECASE,
)
_OPERATION_GIVES = re.compile(r"[a-z]+ing\b.* (?:gives|yields)\b", re.IGNORECASE)
_GIVER = re.compile(r"\b(?:problem|question|figure|diagram|picture|image|text)$", re.IGNORECASE)
_OTHER_VALUE = re.compile(r"[0-9]|\b(?:half|twice|double|triple|third|quarter)\b", re.IGNORECASE)
_SUM_OF_VARIABLES = re.compile(r"[A-Za-z](?:\s*\+\s*[A-Za-z]){1,5}")
_CHINESE_ANSWER = re.compile(
    r"(?:本题|此题|该题|这题|这道题|这个问题|本小题|该问题|题目)?的?(?:最终|最后|正确|所求|标准)?的?(?:答案|结果|选项|答)(?:即|就)?"
)
_CHINESE_QUANTITY = re.compile(
    r"(?=.*[\u4e00-\u9fff]).{0,60}?(?:面积|周长|长度|长|度数|大小|体积|半径|直径|值|距离|高|宽|高度|宽度|深度|角|边|斜边|边数|数|比|腰|和|[A-Z∠])|∠[A-Z0-9]{1,3}"
)
_OPEN_REPLY_NAME = re.compile(r"[^0-9，。；;,答案结果]{1,30}")
_VARIABLE_VALUE = re.compile(r"(?<![^\s,;，；(=是为])\$?([a-z])\$?\s*=\s*([^,，;；=]+)")
_VALUE_AT_END = re.compile(r"(?:.*\s(?:is|are|equals|measures)\s|.*[=是为≈])\s*([^=]*[0-9][^=]*)")
_ANGLE_SUMS = re.compile(r"(?:90|180|360)(?![0-9.])")
_LETTER = re.compile(r"(?:option |choice )?[(（]?[A-H][)）]?(?:选项|项)?|选项[A-H]", re.IGNORECASE)
_PLAIN_WORDS = re.compile(r"[A-Za-z ]+")
_GIVEN = re.compile(r"(?:given|known|assumed)\b", re.IGNORECASE)
_NOT_A_VALUE = re.compile(r"(?:because|since|due to|by|from|as|that|when)\b", re.IGNORECASE)
_END_PUNCTUATION = re.compile(r"[.。．!！\s]+$")
_MARKS = " \t*_~"


def read_assertion(sentence: str) -> Assertion | None:
    """The value that a sentence asserts without doubt; None if it asserts none or cannot be understood."""
    if len(sentence) > MAX_SENTENCE_LENGTH:
        return None
    text = _END_PUNCTUATION.sub("", sentence.strip().strip(_MARKS)).strip(_MARKS)
    reply = _REPLY.match(text)
    if is_hedged(sentence):
        found = _read_core(_LEAD_IN.sub("", text), False, False)
        return found if found and is_verbal_value(as_text(found.value)) else None
    bare = text[reply.end() :] if reply else text
    return _read(bare, reply is not None)


def _read(text: str, is_reply: bool) -> Assertion | None:
    suffix = _SUFFIX.search(text, 1)
    if suffix is not None and not _PREMISE.match(text):
        found = _read_with_premises(text[: suffix.start()], is_reply)
        reason = text[suffix.end() :]
        if found is not None and _is_reason(suffix[0], reason):
            return _with_claims(found, _claims_behind(reason, found))
    *_, connective = [None, *_CONNECTIVE.finditer(text, 1)]
    if connective is None:
        return _read_with_premises(text, is_reply)
    premise, conclusion = text[: connective.start()], text[connective.end() :]
    if not is_harmless(premise) or ("give" in connective[0] and _GIVER.search(premise)):
        return None
    found = _read_with_premises(conclusion, is_reply, concluded=True)
    if found is None or not (
        found.kind == "answer"
        or _SEPARATOR.search(conclusion)
        or _OPERATION_GIVES.match(premise + connective[0])
    ):
        return None  # `x = 16, so 15`
    return _with_claims(found, _claims_before(premise, found))


def _is_reason(opener: str, text: str) -> bool:
    """Whether `text` behind `since`, `by` or `which` is harmless; a number behind `which` is another value."""
    return is_harmless(text) and not ("which" in opener and _OTHER_VALUE.search(text))


def _read_with_premises(text: str, is_reply: bool, concluded: bool = False) -> Assertion | None:
    """Read a core after premises such as `By the theorem,` or `In triangle ABC,`."""
    core, claims = text.strip(), ""
    for _ in range(MAX_PREMISES):
        stripped = _LEAD_IN.sub("", core)
        concluded = concluded or stripped != core
        core = stripped
        end = _PREMISE_END.search(core)
        if end is None or not _PREMISE.match(core):
            break
        premise = core[: end.start()]
        if not is_harmless(premise) or _CONDITION.match(premise):
            return None
        core, claims = core[end.end() :], premise
    found = _read_core(core, is_reply, concluded)
    return found and _with_claims(found, _claims_before(claims, found))


def _read_core(text: str, is_reply: bool, concluded: bool) -> Assertion | None:
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
    separator = _SEPARATOR.search(text)
    if separator is None:
        kind: Literal["named", "bare"] = "named" if concluded else "bare"
        return Assertion(text, kind) if len(text) <= MAX_VALUE_LENGTH else None
    name = text[: separator.start()].strip(_MARKS + ":：")
    value = _LENGTHWISE.sub("", text[separator.end() :].strip(_MARKS))
    if not value or len(value) > MAX_VALUE_LENGTH or _NOT_A_VALUE.match(value):
        return None
    if _CHINESE_ANSWER.fullmatch(name) or (is_answer_phrase(name) and not _FOREIGN.search(name)):
        return _read_answer_value(value)
    if is_answer_phrase(name) or _GIVEN.match(name):
        return None
    if _is_chinese_name(name, is_reply):
        return Assertion(value, "named")
    if _is_known_name(name):
        return Assertion(_named_value(name, value), "named")
    if _SUM_OF_VARIABLES.fullmatch(name.strip("$ ")) and text.count("=") >= 2:
        return Assertion(text, "named")
    return None


def _read_answer_value(value: str) -> Assertion | None:
    """The value behind `Answer:`, which may again be a sentence: `the hypotenuse is 15`."""
    if _SEPARATOR.search(value):
        found = _read_with_premises(value, False)
        if found is not None and found.kind != "bare":
            return replace(found, kind="answer")
    return Assertion(value, "answer")


def _is_known_name(text: str) -> bool:
    """`is_name` of the normalised text; plain words need no normalisation."""
    return len(text) <= MAX_NAME_LENGTH and is_name(text if _PLAIN_WORDS.fullmatch(text) else normalise(text))


def _named_value(name: str, value: str) -> str:
    """The value with the name of a symbol such as x, which must be the truth's, and without a phrase."""
    return f"{name} = {value}" if is_symbol(normalise(name)) else value


def _is_chinese_name(name: str, is_reply: bool) -> bool:
    if _CHINESE_QUANTITY.fullmatch(name) and is_harmless(name) and not re.search(r"(?<!∠)[0-9]", name):
        return True
    return is_reply and _OPEN_REPLY_NAME.fullmatch(name) is not None and not is_hearsay(name)


def _with_claims(found: Assertion, claims: tuple[str, ...]) -> Assertion:
    return replace(found, others=found.others + claims)


def _claims_before(premise: str, found: Assertion) -> tuple[str, ...]:
    """The value at the end of a premise, if a letter follows: `the angle is 45°, so the answer is C`."""
    return _value_beside_letter(premise, found)


def _claims_behind(reason: str, found: Assertion) -> tuple[str, ...]:
    """Values of variables in a reason, and the value beside a letter: `15, since x = 16`."""
    *_, conclusion = [None, *_CONNECTIVE.finditer(reason, 1)]
    concluded = (reason[conclusion.end() :],) if conclusion else ()
    return claimed_variables(reason) + concluded + _value_beside_letter(reason, found)


def claimed_variables(reason: str) -> tuple[str, ...]:
    """Values that a reason assigns to variables: `x = 16`."""
    return tuple(match[0].strip() for match in _VARIABLE_VALUE.finditer(reason))


def is_letter(value: str) -> bool:
    """Whether a value is only the letter of a choice."""
    return _LETTER.fullmatch(value) is not None


def _value_beside_letter(text: str, found: Assertion) -> tuple[str, ...]:
    value = _VALUE_AT_END.fullmatch(text.strip(" ,，;；")) if is_letter(found.value) else None
    return () if value is None or _ANGLE_SUMS.match(value[1]) else (value[1].strip(),)
