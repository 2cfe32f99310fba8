"""Read the value that one sentence asserts: `By the theorem, AB = 15.`, `故选C。` (rules 1 and 8).

    sentence := [premises] core [reasons]
    core     := name "is" value | value "is the answer" | name "has" value "sides" | letter | value

The grammar is closed: names, premises and reasons consist of known words only, and the value is parsed later.
"""

from __future__ import annotations

import re
from dataclasses import replace

from vlm_uec.verifier.core_assertion import MARKS, SEPARATOR, Assertion, is_number, read_core, same_name
from vlm_uec.verifier.doubt import is_hedged, is_verbal_value
from vlm_uec.verifier.normalise import as_text
from vlm_uec.verifier.reasons import is_harmless

MAX_SENTENCE_LENGTH = 600
MAX_PREMISES = 4

_LEAD_IN = re.compile(
    r"^(?:(?:so|therefore|thus|hence|then|finally|consequently|accordingly|overall|now|and|ok|okay"
    r"|in conclusion|in summary|as a result|to conclude|it follows that"
    r"|(?:we|i)(?: can| now| then| thus| therefore| finally)* (?:get|have|find|conclude|obtain|see"
    r"|deduce)(?: that)?"
    r"|(?:this|which|that) (?:means|gives|implies|yields|shows)(?: us)?(?: that)?"
    r"|(?:this|that|it) (?:corresponds to|matches)(?= (?:option|choice|answer) \(?[A-H]\b))\b\s*[,:]?\s*"
    r"|(?:\$|\\\()?\s?(?:∴|→|⇒|⟹|➡|=>|->|\\therefore|\\Rightarrow|\\implies)\s*(?:(?:\$|\\\))\s*)?"
    r"|(?:所以|因此|故而|故(?!事)|那么|综上所述|综上|最终(?!答)|最后|于是|从而|因而|由此|即|则|可得|得到|解得|化简得"
    r"|解方程得|得|答(?!案))\s*[,，:：]?\s*)+",
    re.IGNORECASE,
)
_REPLY = re.compile(r"^答\s*[:：,，]\s*(?:(?:一共|总共|共)?(?:需要?|有)(?=\s*[0-9$\\]))?")
# The lookahead at the first character of all alternatives halves the time of the search.
_CONNECTIVE = re.compile(
    r"(?=[\s,;，；=⇒∴\\所因故从于可解求得])(?:"
    r"(?:[,;]\s*(?:and\s+)?|\s+and\s+)(?:so|therefore|thus|hence|then|consequently)\b,?\s*"
    r"|[,;]\s*(?:which|and this|this|it|and it)\s+(?:gives|means|implies|yields|shows)\b(?: us)?(?: that)?\s*"
    r"|[,;]\s*(?:giving|yielding|so that)\s+|[,;]\s*we (?:get|have|find|obtain)\b(?: that)?\s*"
    r"|\s(?:gives|yields|implies)\b(?: us)?(?: that)?\s+"
    r"|\s+(?:→|⟶)\s+|\s*(?:⇒|⟹|∴|=>|\\Rightarrow(?![A-Za-z])|\\implies(?![A-Za-z])"
    r"|\\therefore(?![A-Za-z]))\s*"
    r"|[，,；;]?\s*(?:所以|因此|故(?!事)|从而|于是|可得|可知|解得|解方程得|求得|得到|(?<=[，,理意])得"
    r"|(?<=[，,])则)\s*[，,:：]?\s*"
    r"|[，,]\s*(?=(?:本题|此题)?(?:的?(?:正确)?答案)?(?:为|是|应|应该)?选?\s?[(（]?[A-H](?![A-Za-z0-9]))"
    r"|[，,]\s*即\s*(?=[^，,]*[=＝是为])"
    r"|,\s*which (?:is|corresponds to|matches)\s+(?=(?:option|choice|answer)\s+\(?[A-H]\b))",
    re.IGNORECASE,
)
_SUFFIX = re.compile(
    r"(?=[\s,;(—–，；（])(?:"
    r"\s*[,;(—–]?\s+\(?(?:since|because|due to|thanks to)\b|\s*[,;(—–]\s*(?:as|by|using|from|which)\b"
    r"|\s+(?:by|using) (?=the |our |its |similar|symmetry|[A-Z])|\s*[，,；;（(]\s*(?:因为|由于|理由"
    r"|这是因为|根据))",
    re.IGNORECASE,
)
_PREMISE = re.compile(
    r"(?:by|using|applying|from|since|because|as|given|after|on|upon|in|with|according to|based on|for|first"
    r"|because of|rounded|[a-z]+ing)\b"
    r"|[由在因根∵利精保四]|\\because",
    re.IGNORECASE,
)
_PREMISE_END = re.compile(r",\s+|，\s*")
_CONDITION = re.compile(
    r"(?:for|with|when|in)\b.*=|(?:for|with|in) (?:an?|any|all|every)\b|.*(?:\b(?:cases?|last|next)\b|时$)",
    re.IGNORECASE,
)
_OPERATION_GIVES = re.compile(
    r"(?:so |thus |then )?(?:after |by )?[a-z]+ing\b[^=]*"
    r"(?: (?:gives|yields)|[,;]\s*we (?:get|have|find|obtain))\b",
    re.IGNORECASE,
)
_GIVER = re.compile(r"\b(?:problem|question|figure|diagram|picture|image|text)$", re.IGNORECASE)
_OTHER_VALUE = re.compile(r"[0-9]|\b(?:half|twice|double|triple|third|quarter)\b", re.IGNORECASE)
_VARIABLE_VALUE = re.compile(r"(?<![^\s,;，；(=是为])\$?([a-z])\$?\s*=\s*([^,，;；=]+)")
_VALUE_AT_END = re.compile(r"(?:.*\s(?:is|are|equals|measures)\s|.*[=是为≈])\s*([^=]*[0-9][^=]*)")
_ANGLE_SUMS = re.compile(r"(?:90|180|360)(?![0-9.])")
_BARE_VALUE = re.compile(
    r"[-+(]?\s?(?:[0-9]|\\(?:d?frac|sqrt|pi))"
    r"(?:[^=<>∠\\\u4e00-\u9fffA-Za-z]|\\(?:[A-Za-z]+|.)|(?<![A-Za-z])[A-Za-z]{1,2}(?![A-Za-z]))*+"
)
_LETTERED = re.compile(r"(?:option |choice )?[(（]?[A-H][)）]?\s*[:：]")
_LETTER = re.compile(r"(?:option |choice )?[(（]?[A-H][)）]?(?:选项|项)?|选项[A-H]", re.IGNORECASE)
_ROUNDED = re.compile(
    r",? (?:or|which is) (?:approximately|about) (?=[-0-9$\\(])|,? which rounds to (?=[-0-9$\\(])"
)
_END_PUNCTUATION = ".。．!！ \t\n"


def read_assertion(sentence: str) -> Assertion | None:
    """The value that a sentence asserts without doubt; None if it asserts none or cannot be understood."""
    if len(sentence) > MAX_SENTENCE_LENGTH:
        return None
    if "or " in sentence or "which " in sentence:
        sentence = _ROUNDED.sub(r" \\approx ", sentence)
    text = sentence.strip().strip(MARKS).rstrip(_END_PUNCTUATION).strip(MARKS)
    reply = _REPLY.match(text)
    if is_hedged(sentence):
        found = read_core(_LEAD_IN.sub("", text), False, False)
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
    lead_in = _LEAD_IN.match(text)
    *_, connective = [None, *_CONNECTIVE.finditer(text, lead_in.end() if lead_in else 1)]
    if connective is None:
        return _read_with_premises(text, is_reply)
    premise, conclusion = text[: connective.start()], text[connective.end() :]
    if not is_harmless(premise) or ("give" in connective[0] and _GIVER.search(premise)):
        return None
    found = _read_with_premises(conclusion, is_reply, concluded=True)
    if found is None or (
        found.kind != "answer"
        and not found.name
        and found.value == _LEAD_IN.sub("", conclusion).strip()
        and not _OPERATION_GIVES.match(premise + connective[0])
    ):
        return None  # `x = 16, so 15`
    return _with_claims(found, _claims_before(premise, found) + _same_name(premise, found))


def _is_reason(opener: str, text: str) -> bool:
    """Whether `text` behind `since` or `by` is harmless; a number behind `which` is another value."""
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
    found = _within_answer(read_core(core, is_reply, concluded))
    return found and _with_claims(found, _claims_before(claims, found))


def _within_answer(found: Assertion | None) -> Assertion | None:
    """The value behind `Answer:` may again be a sentence: `the hypotenuse is 15`."""
    if found is None or found.kind != "answer" or _LETTERED.match(found.value):
        return found
    inner = _read_with_premises(found.value, False) if SEPARATOR.search(found.value) else None
    return found if inner is None or inner.kind == "bare" else replace(inner, kind="answer")


def _with_claims(found: Assertion, claims: tuple[str, ...]) -> Assertion:
    return replace(found, others=found.others + claims) if claims else found


def _claims_before(premise: str, found: Assertion) -> tuple[str, ...]:
    """The value at the end of a premise, if a letter follows, or a bare one: `45°, so the answer is 50°`."""
    return _value_beside_letter(premise, found) + ((premise,) if is_bare_value(premise) else ())


def _claims_behind(reason: str, found: Assertion) -> tuple[str, ...]:
    """Values of variables in a reason, and the value beside a letter: `15, since x = 16`."""
    *_, conclusion = [None, *_CONNECTIVE.finditer(reason, 1)]
    concluded = (reason[conclusion.end() :],) if conclusion else ()
    beside = _value_beside_letter(reason, found)
    return claimed_variables(reason) + concluded + beside + _same_name(reason, found)


def _same_name(text: str, found: Assertion) -> tuple[str, ...]:
    """Another value of the stated quantity, or of the answer: `the area is 24, because the area is 20`."""
    reversed_value, _, name = text.strip().rpartition(" is ")
    if found.name and same_name(name) == found.name:
        return (reversed_value,)
    claim = _read_with_premises(text, False)
    is_same = claim is not None and (
        claim.kind == "answer" or (found.name != "" and claim.name == found.name)
    )
    return (claim.value,) if claim and is_same and is_number(claim.value) else ()


def claimed_variables(reason: str) -> tuple[str, ...]:
    """Values that a reason assigns to variables: `x = 16`."""
    return tuple(match[0].strip() for match in _VARIABLE_VALUE.finditer(reason))


def is_bare_value(text: str) -> bool:
    r"""Whether a text is only a value: `16`, `\frac{1}{2}`, `12 cm`."""
    return _BARE_VALUE.fullmatch(text.strip(" ,，.。")) is not None


def is_letter(value: str) -> bool:
    """Whether a value is only the letter of a choice."""
    return _LETTER.fullmatch(value) is not None


def _value_beside_letter(text: str, found: Assertion) -> tuple[str, ...]:
    value = _VALUE_AT_END.fullmatch(text.strip(" ,，;；")) if is_letter(found.value) else None
    return () if value is None or _ANGLE_SUMS.match(value[1]) else (value[1].strip(),)
