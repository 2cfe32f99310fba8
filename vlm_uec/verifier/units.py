"""Units after values: parsing, and detection of units that contradict the truth's unit (rule 6)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit's canonical name and its power: cm^2 is Unit("cm", 2)."""

    name: str
    power: int = 1


_UNIT_WORDS = {
    "°": "° deg degree degrees 度", "rad": "rad rads radian radians 弧度", "%": "% percent",
    "mm": "mm millimeter millimeters millimetre millimetres 毫米",
    "cm": "cm centimeter centimeters centimetre centimetres 厘米", "dm": "dm decimeter decimeters 分米",
    "m": "m meter meters metre metres 米", "km": "km kilometer kilometers kilometre kilometres 千米 公里",
    "in": "in inch inches", "ft": "ft foot feet", "yd": "yd yard yards", "mi": "mi mile miles",
    "nmi": "海里 nmi", "unit": "unit units 单位 个单位", "year": "year years yr yrs 年 岁",
    "month": "month months", "day": "day days 天", "h": "hour hours hr hrs 小时",
    "min": "min mins minute minutes 分钟", "s": "s sec secs second seconds 秒", "g": "g gram grams 克",
    "kg": "kg kilogram kilograms 千克", "mg": "mg milligram milligrams", "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces", "L": "L liter liters litre litres 升",
    "mL": "mL ml milliliter milliliters 毫升", "$": "\\dollar dollar dollars USD", "¢": "cent cents",
    "元": "元", "N": "newton newtons", "J": "joule joules", "V": "V volt volts", "A": "A ampere amperes amps",
    "W": "W watt watts", "Hz": "Hz hertz", "Pa": "Pa pascal pascals", "kPa": "kPa", "acre": "acre acres 亩",
    "ha": "ha hectare hectares 公顷", "mi/h": "mph",
    "count": "个 人 people persons students items objects", "side": "side sides 边 条边 边形",
    "vertex": "vertex vertices corners", "edge": "edge edges", "face": "face faces",
    "diagonal": "diagonal diagonals", "triangle": "triangle triangles",
}  # fmt: skip
_COUNTS = frozenset({"side", "vertex", "edge", "face", "diagonal", "triangle"})
_SPACED = frozenset({"V", "A", "W", "s"})  # units only behind a space, because `4s` may be 4 times s
_CANONICAL = {word: name for name, words in _UNIT_WORDS.items() for word in words.split()}
_WORD_PATTERN = "|".join(sorted(map(re.escape, _CANONICAL), key=len, reverse=True))
_UNIT = re.compile(
    rf"(?:(?P<lead>square|sq\.?|平方|cubic|cu\.?|立方)\s?)?(?P<word>{_WORD_PATTERN})\.?\s?"
    r"(?:(?P<tail>squared|cubed)|\^\s?(?:\{\s?([23])\s?\}|([23]))|([23]))?"
    rf"(?:\s?/\s?(?P<per>{_WORD_PATTERN}|h|s)(?:\^\s?\{{?\s?(?P<per_power>[23])\s?\}}?)?)?$"
)
_POWERS = {"": 1, "square": 2, "squared": 2, "sq": 2, "平方": 2, "cubic": 3, "cubed": 3, "cu": 3, "立方": 3}
_UNIT_START = re.compile(r"(?<=[0-9})\].°' ])(?=[A-Za-z%°\\\u4e00-\u9fff])|(?<=\\pi)(?= )")
_SPACED_UNIT = re.compile(r"[0-9})\]] $")
_BRACKETED = re.compile(r"(.*\S) ?([(\[]) ?([^()\[\]]{1,40}?) ?([)\]])")
_NAUTICAL_MILES = re.compile(r"\b(?:nautical miles?|n\.? ?miles?)\b")
_PER = re.compile(r"(?<=[a-z]) per (?=[a-z])")
_ANGLE_OR_PERCENT = frozenset({"°", "rad", "%"})
_WITHOUT_POWERS = frozenset({"%", "percent"})
_DOLLAR_PREFIX = re.compile(r"^\\dollar ?")


def split_unit(text: str) -> tuple[str, Unit | None]:
    """`text` without its unit, and the unit; the whole text and None if it does not end in a unit."""
    if _DOLLAR_PREFIX.match(text):
        return _DOLLAR_PREFIX.sub("", text), Unit("$")
    bare = text.strip()
    if bare[-1:] in (")", "]") and (bracketed := _split_bracketed_unit(bare)):
        return bracketed
    if "mile" in bare or " per " in bare:
        bare = _PER.sub("/", _NAUTICAL_MILES.sub("nmi", bare))
    for start in _UNIT_START.finditer(bare):
        match = _UNIT.match(bare, start.start() + (bare[start.start()] == " "))
        if match and bare[: start.start()].strip() and not _is_factor(match, bare):
            return bare[: start.start()].rstrip(), _unit_from_match(match)
    return bare, None


def _is_factor(match: re.Match[str], text: str) -> bool:
    if match["word"] in _WITHOUT_POWERS and match.end() > match.end("word"):
        return True  # `11 % 2`
    return match["word"] in _SPACED and not match["per"] and not _SPACED_UNIT.search(text, 0, match.start())


def _split_bracketed_unit(text: str) -> tuple[str, Unit] | None:
    """`36 (cm)`, `36 [square units]`, `36 square meters (m^2)`; None if the brackets hold no unit."""
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is None or bracketed[2] + bracketed[4] not in ("()", "[]"):
        return None
    inner = _PER.sub("/", _NAUTICAL_MILES.sub("nmi", bracketed[3]))
    match = _UNIT.match(inner)
    if match is None:
        return None
    unit = _unit_from_match(match)
    body, own_unit = split_unit(bracketed[1])
    return None if units_contradict(unit, own_unit) else (body, unit)


def _unit_from_match(match: re.Match[str]) -> Unit:
    word = (match["lead"] or match["tail"] or "").rstrip(".")
    power = int(match[4] or match[5] or match[6] or _POWERS[word])
    name = _CANONICAL[match["word"]]
    if match["per"]:
        name = f"{name}/{_CANONICAL.get(match['per'], match['per'])}{match['per_power'] or ''}"
    return Unit(name, power)


def units_contradict(answer: Unit | None, truth: Unit | None) -> bool:
    """Whether the units are incompatible. A missing unit is allowed; "units" determines only the power."""
    if answer is None or truth is None:
        return False
    names = {answer.name, truth.name}
    if "count" in names and names & _COUNTS:
        return answer.power != truth.power
    is_generic_length = "unit" in names and not names & _ANGLE_OR_PERCENT
    return answer.power != truth.power or (answer.name != truth.name and not is_generic_length)
