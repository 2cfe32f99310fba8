"""Words that make a statement doubtful: hedges, negations, conditions, hearsay, others' answers (rule 1)."""

from __future__ import annotations

import re

# All patterns apply to lower-case text, because ignoring case would triple the time.
_HEDGE = re.compile(
    r"\b(?:not|never|cannot|maybe|might|may|could|would|should|perhaps|possibl[ey]|possibility|probably"
    r"|likely"
    r"|unlikely|or|either|neither|nor|guess(?:ed|ing)?|unsure|uncertain|think|believe|assum(?:e|ed|ing|ption)"
    r"|suppos(?:e|ed|ing|edly)|if|unless|seems?|appears?|apparently|presumably|hopefully|around|roughly"
    r"|almost"
    r"|nearly|between(?= \\?[($]?\s?[0-9])|but|however|although|though|actually|wait|hmm+|wrong"
    r"|incorrect|false|alternatively|otherwise"
    r"|instead|except|least|most|than|versus|vs|doubt|sure|sorry|retract|scratch|no longer|nope|oops"
    r"|mistaken?"
    r"|re-?check|re-?consider|contradicts?|impossible|hypothetical(?:ly)?|imagine|pretend|provided"
    r"|correction|examples?|e\.g)\b"
    r"|n't\b|n’t\b|可能|也许|或|大概|大约|不|没|非|未必|好像|似乎|看来|看起来|应该|如果|若|假如|假设"
    r"|假定|倘若|要是|除非|只有"
    r"|但|然而|猜|估计|差不多|错|矛盾|难道|吗|\?|？|≠|\\neq?(?![a-z])|[❌✖✗✘❎❓❔⁉🚫⛔👎🤔🤷]"
)
_SUPPOSITION = re.compile(
    r"^(?:then |now |so |let us |let's )?(?:if|suppos(?:e|ing)|assum(?:e|ing)|imagine|pretend|were|had|should"
    r"|unless|provided|hypothetically|in (?:the|this|that) hypothetical case)\b"
    r"|^let (?:us say |us assume )?(?:\\\(|\$)?\s?[a-z]\$?\s?=\s?-?[0-9]|^(?:如果|若|假如|假设|假定|倘若"
    r"|要是|设[a-z]\s?=\s?[0-9])"
)
_HEARSAY = re.compile(
    r"\b(?:(?:he|she|they|people|book|key|internet) (?:says?|said|claims?|claimed|wrote|thinks?|got)"
    r"|i (?:heard|was told)"
    r"|according to (?:my|a|the|his|her|their|some)\b(?! (?:[a-z]+ )*(?:theorem|formula|rule|law"
    r"|property|figure"
    r"|diagram|definition|postulate|criterion))|classmates?|friends?|students?|teachers?|neighbou?rs?"
    r"|somebody"
    r"|someone|previous|candidates?|options? are)\b"
    r"|说(?!明)|有人|同学|同桌|老师|别人|网上|上一?[道]?题|前一?[道]?题|另一[道]?题|例题|认为|觉得|以为"
)
_UNCERTAINTY = re.compile(
    r"\b(?:not (?:\w+ )?(?:sure|certain|confident)|unsure|uncertain|guess(?:ing)?|no idea|no clue"
    r"|do(?:n't|n’t| not) know"
    r"|can(?:not|'t|’t| not) (?:tell|verify|see|determine|be sure)|random(?:ly)?|maybe|perhaps|probably"
    r"|possibly"
    r"|might be|could be|hypothetical(?:ly)?)\b|不知道|不确定|没把握|不清楚|猜|可能|也许|大概|^[?？!！ ]+$"
)
_VERBAL = frozenset(("no", "not enough information", "cannot be determined", "insufficient information"))


def is_hedged(sentence: str) -> bool:
    """Whether a sentence is hedged, negated, conditional or a question."""
    return _HEDGE.search(sentence.casefold()) is not None


def is_verbal_value(text: str) -> bool:
    """Whether a value, as text for comparison, contains a negation by nature: `not enough information`."""
    return text in _VERBAL


def casts_doubt(sentence: str) -> bool:
    """Whether a sentence makes the statement behind it conditional, or attributes it to somebody else."""
    lower = sentence.casefold()
    return _SUPPOSITION.search(lower) is not None or _HEARSAY.search(lower) is not None


def is_uncertain(sentence: str) -> bool:
    """Whether a sentence expresses that the writer does not know the answer."""
    return _UNCERTAINTY.search(sentence.casefold()) is not None


def is_hearsay(text: str) -> bool:
    return _HEARSAY.search(text.casefold()) is not None
