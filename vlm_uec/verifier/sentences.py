"""Split the end of a response into sentences, without markdown, emoji, special tokens and courtesies."""

from __future__ import annotations

import re

from vlm_uec.verifier.environments import unwrap_environments
from vlm_uec.verifier.symbols import INVISIBLE

MAX_TAIL_LENGTH = 1500  # number of searched characters at the end of a conclusion
ELLIPSIS = "…"

_MARKUP = re.compile(
    r"<\|[^|<>]{1,40}\|>|</?(?:think|answer|b|strong|i|em|u)>|</s>\s*\Z|\*\*|__|`", re.IGNORECASE
)
_LINE_MARKUP = re.compile(
    r"^(?:#{1,6} |> |[-*_=]{3,}$|[-*•+] (?=[^\W\d]|[*$\\∠∴]))", re.MULTILINE
)  # without spaces before it, because they are collapsed
_EMOJI = re.compile("[\U0001f000-\U0001faff☀-➿⬅-⬇⭐⭕\ufe0f\u200d]")
_DOUBTFUL_EMOJI = re.compile("[➖❌✖✗✘❎❓❔⁉🚫⛔👎🤔🤷]")
_FULL_WIDTH = {chr(code + 0xFEE0): chr(code) for code in range(ord("0"), ord("z") + 1) if chr(code).isalnum()}
_PLAIN_LETTERS = str.maketrans({**dict.fromkeys(INVISIBLE, ""), **_FULL_WIDTH})
_DISPLAY_END = re.compile(r"\s*\\\][ \t]*(?:\n[ \t]*)?(?=[a-z\u4e00-\u9fff.,。，])")
_DISPLAY = re.compile(r"\s*(?:\$\$|\\\[|\\\])\s*")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{(?:aligned|align|gathered|gather|split|equation)\*?\}")
_CONTINUATION = re.compile(r"\n(?:(?==)|(?<=[:：=是为]\n)|(?<=\bis\n)|(?<=\bas\n)|(?<=\bare\n))")
_HEADING = re.compile(
    r"^(?:(?:the )?(?:final )?answer(?:\n| ?(?:→|➜|⟶|->) ?)|ans\. |(?:最终|最后|正确)?答案\n)|【答案】",
    re.MULTILINE | re.IGNORECASE,
)
_IT_IS = re.compile(r"\b(it|that)['’]s\s", re.IGNORECASE)
_ITEM = re.compile(r"^[ \t]*([0-9])[.)][ \t]+(?=[^\W\d]|[*$\\∠∴])", re.MULTILINE)
_ABBREVIATIONS = "".join(
    rf"(?<!\b{word}\. )" for word in ("sq", "cu", "approx", "Ans", "ans", r"i\.e", r"e\.g", r"d\.p")
)
_ASCII_END = re.compile(rf" (?<=[.!?] ){_ABBREVIATIONS}")
_END = re.compile(rf"{_ASCII_END.pattern}|(?<=[。！？]) *")
_ENDS_IN_LETTER = re.compile(r"(?:^|[^A-Za-z0-9'’])\(?[A-H]\)?[.．。]$")
_SENTENCE_OPENER = re.compile(
    r"(?:th(?:is|at|ese|us|en|erefore|ey)|it|we|i|you|since|because|so|hence|by|using|here|there|note"
    r"|please|let"
    r"|hope|as|if|but|wait|however|actually|no(?=,)|or|and|option|answer|explanation|reason|check|now|also)\b"
    r"|[所因由故这此但不等∴]|.{0,200}?(?:\b(?:is|are|was|has|have|equals|follows|gives)\b|=|[是为])",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"(?:i hope (?:this|that)\b.{0,40}\b(?:helps?|helpful|useful|clear|clarifies)\b|(?:please )?let me know"
    r"|is there anything else|do you have any|feel free"
    r"|thank you|thanks|hope (?:this|that) helps|q\.?e\.?d|[∎■□]$|done|希望.{0,12}帮助|谢谢)",
    re.IGNORECASE,
)


def split_sentences(text: str, has_items: bool = True) -> list[str]:
    """The sentences of the last MAX_TAIL_LENGTH characters, behind an ellipsis if the text is longer.

    `has_items`: whether `1.` may number a line.
    """
    text = text.strip()
    if len(text) > MAX_TAIL_LENGTH:
        text = _collapse_spaces(text)
    is_cut = len(text) > MAX_TAIL_LENGTH
    sentences = [
        sentence
        for line in _clean(text[-MAX_TAIL_LENGTH:], has_items).split("\n")
        for sentence in _split_line(line)
        if sentence.strip(" .。*_-") and not _is_courtesy(sentence)
    ]
    return [ELLIPSIS, *sentences[1:]] if is_cut else sentences  # the first sentence may be incomplete


def _is_courtesy(sentence: str) -> bool:
    return _COURTESY.match(sentence) is not None and not any(map(str.isdigit, sentence))


def _clean(text: str, has_items: bool) -> str:
    plain = _collapse_spaces(text if text.isascii() else _strip_emoji(text.translate(_PLAIN_LETTERS)))
    plain = _LINE_MARKUP.sub("", _MARKUP.sub("", plain))
    if has_items:
        plain = _strip_item_numbers(plain)
    if "\\begin" in plain:
        plain = _ENVIRONMENT.sub("\n", unwrap_environments(plain))
    if "\\[" in plain or "\\]" in plain or "$$" in plain:
        plain = plain.replace("\\\\[", "\\[").replace("\\\\]", "\\]")
        plain = _collapse_spaces(_DISPLAY.sub("\n", _DISPLAY_END.sub(" ", plain)))
    if "ns" in plain or "NS" in plain or "答" in plain:  # cheaper than a search without regard to case
        plain = _HEADING.sub("Answer: ", plain)
    plain = _CONTINUATION.sub(" ", plain)
    return _IT_IS.sub(r"\1 is ", plain) if "'s " in plain or "’s " in plain else plain


def _collapse_spaces(text: str) -> str:
    """Single spaces and no empty lines, which also keeps the time of the patterns linear."""
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n"))))


def _strip_emoji(text: str) -> str:
    """Remove emoji, except those that express doubt."""
    return _EMOJI.sub(lambda match: match[0] if _DOUBTFUL_EMOJI.match(match[0]) else "", text)


def _strip_item_numbers(text: str) -> str:
    """Remove the numbers of list items, which count up from 1, so that `16. x = 15` keeps its 16."""
    expected = 1
    pieces, position = [], 0
    for match in _ITEM.finditer(text):
        if int(match[1]) in (1, expected):
            pieces.append(text[position : match.start()])
            position = match.end()
            expected = int(match[1]) + 1
    return "".join(pieces) + text[position:] if pieces else text


def _split_line(line: str) -> list[str]:
    """Sentences of one line; `C. 60°` and `The answer is C. Sphere` are not split after the letter."""
    sentences: list[str] = []
    for piece in (_ASCII_END if line.isascii() else _END).split(line):
        bare = piece.strip().strip("*_").strip()
        if not bare:
            continue
        if sentences and _ENDS_IN_LETTER.search(sentences[-1][-5:]) and not _SENTENCE_OPENER.match(bare):
            sentences[-1] += f" {bare}"
        else:
            sentences.append(bare)
    return sentences
