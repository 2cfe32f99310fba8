"""The unit behind a value: read off, and never silently ignored where it contradicts the truth's."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A unit's canonical name and its power: cm^2 is Unit("cm", 2)."""

    name: str
    power: int = 1


_NAMES = {
    "°": ("°", "deg", "degree", "degrees", "度"),
    "rad": ("rad", "radian", "radians"),
    "%": ("%", "percent"),
    "mm": ("mm", "millimeter", "millimeters", "毫米"),
    "cm": ("cm", "centimeter", "centimeters", "厘米"),
    "dm": ("dm", "分米"),
    "m": ("m", "meter", "meters", "metre", "metres", "米"),
    "km": ("km", "kilometer", "kilometers", "千米"),
    "in": ("in", "inch", "inches"),
    "ft": ("ft", "foot", "feet"),
    "yd": ("yd", "yard", "yards"),
    "mi": ("mi", "mile", "miles"),
    "nmi": ("海里",),
    "unit": ("unit", "units", "单位"),
}
_CANONICAL = {word: name for name, words in _NAMES.items() for word in words}
_WORDS = "|".join(sorted(map(re.escape, _CANONICAL), key=len, reverse=True))
_UNIT = re.compile(
    rf"(?<![A-Za-z\\])(square|sq\.?|平方|cubic|立方)?\s*({_WORDS})\.?\s*"
    r"(?:\^\s*(?:\{\s*([23])\s*\}|([23])))?$"
)


def split_unit(text: str) -> tuple[str, Unit | None]:
    """`text` without its trailing unit, and the unit; the whole text and None where there is no unit."""
    match = _UNIT.search(text)
    if match is None or match.start() == 0:
        return text.strip(), None
    word_power = {"s": 2, "平": 2, "c": 3, "立": 3}[match[1][0]] if match[1] else 1
    power = int(match[3] or match[4] or word_power)
    return text[: match.start()].rstrip(), Unit(_CANONICAL[match[2]], power)


def contradict(left: Unit | None, right: Unit | None) -> bool:
    """Whether two answers name units that cannot both be meant. "units" only fixes the power."""
    if left is None or right is None:
        return False
    vague = "unit" in (left.name, right.name) and not {left.name, right.name} & {"°", "rad", "%"}
    return left.power != right.power or (left.name != right.name and not vague)
