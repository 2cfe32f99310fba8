"""Find a plain statement of an unmarked answer: "The answer is 15.", "答案是 15。" (rules 1 and 8).

The grammar is strict: one affirmative statement without hedging or retraction. All other text is rejected,
because a misinterpretation would reward guesses.
"""

from __future__ import annotations

import re

from vlm_uec.verifier.normalise import as_text, normalise
from vlm_uec.verifier.quantity_names import is_answer_phrase, is_name

MAX_TAIL_LENGTH = 1500  # number of searched characters at the end of a conclusion
MAX_VALUE_LENGTH = 200

_NOISE = re.compile(r"<\|[^|<>]{1,40}\|>|</?(?:think|answer)>|\*\*|__|^\s{0,8}#{1,6} |`", re.MULTILINE)
_DISPLAY = re.compile(r"\s*(?:\$\$|\\\[|\\\])\s*")
_CONTINUATION = re.compile(r"(:|：|\bis|=)[ \t]*\n\s*")
_HEADING = re.compile(r"^[ \t]*(?:the )?(?:final )?answer[ \t]*\n\s*|【答案】", re.MULTILINE | re.IGNORECASE)
_IT_IS = re.compile(r"\b(it|that)['’]s\s", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+|(?<=[。！？])\s*")
_LEAD_IN = re.compile(
    r"^(?:(?:so|therefore|thus|hence|then|finally|consequently|accordingly|overall|now|and|ok|okay"
    r"|in conclusion|in summary|as a result|to conclude|it follows that"
    r"|(?:we|i) (?:get|have|find|conclude|obtain|see)(?: that)?"
    r"|(?:this|which) (?:means|gives|implies)(?: that)?)\b\s*[,:]?\s*"
    r"|(?:所以|因此|故而|故|综上所述|综上|最终|最后|于是|即|则|答(?!案))\s*[,，:：]?\s*)+",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(
    r"\s(?:is|are|equals|must be|will be|comes (?:out )?to|turns out to be|works out to)(?=[\s:])"
    r"(?:\s+(?:equal to|therefore|thus|simply|exactly|clearly))?\s*:?|[:：=＝]|(?:是|为(?!什)|等于)\s*[:：]?"
)
_CHOSEN_LETTER = re.compile(
    r"^(?:故|应|所以|因此)?[，,]?\s*(?:选择?|应选|答案选|选项)\s*[:：]?\s*[(（]?([A-H])[)）]?(?:\s*是?正确的?)?$"
    r"|^(?:the )?(?:correct )?(?:option|choice|answer) \(?([A-H])\)? is (?:the )?(?:correct|right)"
    r"(?: (?:answer|choice|option|one))?$",
    re.IGNORECASE,
)
_CHINESE_NAME = re.compile(
    r"^[^。，,；;是为不非否]{0,40}(?:答案|选项|结果|面积|周长|长度|长|度数|体积|半径|直径|值|距离|高|角)$|^∠[A-Z0-9]{1,3}$"
)
_CHINESE_ANSWER = re.compile(r"答案|选项|结果")
_HEDGE = re.compile(
    r"\b(?:not|never|cannot|maybe|might|may|could|would|should|perhaps|possibly|probably|likely|unlikely|or|either"
    r"|neither|nor|guess|guessing|unsure|uncertain|think|believe|assume|assuming|suppose|if|unless|seems?|appears?"
    r"|around|roughly|almost|nearly|between|but|however|although|actually|wait|hmm+|wrong|incorrect|false"
    r"|alternatively|otherwise|instead|except|least|most|than|versus|vs|doubt|sure|sorry|retract|scratch"
    r"|no longer|nope|oops|mistaken?|re-?check|re-?consider)\b"
    r"|n't\b|n’t\b|可能|也许|或|大概|大约|不是|不|好像|应该|如果|但|猜|估计|未必|错误|\?|？"
)  # applied to lower-case text, because ignoring case would triple the time
_COURTESY = re.compile(
    r"(?:i hope (?:this|that)|(?:please )?let me know|is there anything else|do you have any|feel free)\b",
    re.IGNORECASE,
)
_ANSWER_WORDS = ("answer", "result", "solution", "option", "choice", "答案", "结果", "选")
_RETRACTION = re.compile(r"^(?:no|wait)\b")
_VERBAL = frozenset(("no", "not enough information", "cannot be determined", "insufficient information"))


def plain_statement(conclusion: str) -> str | None:
    """The value that the conclusion states; None if it states no value, several, or a doubtful one."""
    sentences = _split_sentences(conclusion)
    explicit = [
        (index, value)
        for index, sentence in enumerate(sentences)
        if any(word in sentence.casefold() for word in _ANSWER_WORDS)
        and (value := stated_value(sentence, explicit=True)) is not None
        and not _is_doubtful(sentence, value)
    ]
    if explicit:
        return _common_value(explicit, sentences)
    value = stated_value(sentences[-1], explicit=False) if sentences else None
    if value is None or (
        value == sentences[-1].strip(" .。!！") and len(sentences) > 1 and not _SEPARATOR.search(value)
    ):
        return None  # a bare value is a statement only if it is the whole conclusion
    return None if _is_doubtful(" ".join(sentences), value) else value


def stated_value(sentence: str, explicit: bool) -> str | None:
    """The value in one sentence: of the answer (`explicit`), else also of a named quantity or bare."""
    text = _LEAD_IN.sub("", sentence.strip())
    text = re.sub(r"[.。!！\s]+$", "", text)
    if chosen := _CHOSEN_LETTER.match(text):
        return chosen[1] or chosen[2]
    separator = _SEPARATOR.search(text)
    if separator is None:
        return None if explicit or len(text) > MAX_VALUE_LENGTH else text or None
    name, value = text[: separator.start()].strip(), text[separator.end() :].strip()
    if not value or len(value) > MAX_VALUE_LENGTH:
        return None
    if _CHINESE_NAME.match(name):
        return value if _CHINESE_ANSWER.search(name) or not explicit else None
    if is_answer_phrase(name):
        return value
    return text if not explicit and is_name(normalise(name)) else None


def _common_value(statements: list[tuple[int, str]], sentences: list[str]) -> str | None:
    if len({as_text(value) for _, value in statements}) > 1:
        return None
    index, value = statements[-1]
    later = [sentence.casefold() for sentence in sentences[index + 1 :]]
    return None if any(_HEDGE.search(text) or _RETRACTION.search(text) for text in later) else value


def _is_doubtful(sentence: str, value: str) -> bool:
    return _HEDGE.search(sentence.casefold()) is not None and as_text(value) not in _VERBAL


def _split_sentences(conclusion: str) -> list[str]:
    tail = conclusion[-MAX_TAIL_LENGTH:]
    if len(conclusion) > MAX_TAIL_LENGTH:
        tail = tail[tail.find("\n") + 1 :]  # its first line may be incomplete
    plain = _HEADING.sub("Answer: ", _DISPLAY.sub(" ", _NOISE.sub("", tail)))
    plain = _CONTINUATION.sub(r"\1 ", plain)
    if "'s " in plain or "’s " in plain:
        plain = _IT_IS.sub(r"\1 is ", plain)
    sentences = (sentence.strip() for sentence in _SENTENCE.split(plain) if sentence)
    return [text for text in sentences if text.strip(" .。") and not _COURTESY.match(text)]


def embedded_statement(text: str) -> str | None:
    """The value stated by a sentence inside a box or tag: `The area is 12`, `答案是15`."""
    sentences = _split_sentences(text)
    if not sentences or not any(
        _SEPARATOR.search(sentence) or _CHOSEN_LETTER.match(sentence) for sentence in sentences
    ):
        return None
    return plain_statement(text)
