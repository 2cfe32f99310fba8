"""A drawing surface of 84 x 84 units, independent of the picture's size in pixels.

84 is three of Qwen2.5-VL's 28-pixel image tokens per side. As in school books, figures are *not* to scale:
only the numbers matter, and the labels stay legible. Only Pillow's built-in font is used, so pictures are the
same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from random import Random
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

UNITS = 84
_FONT_UNITS = 12
# Half a 14-pixel patch: digits have few offsets relative to the patches, so that a model of less than a
# million parameters can learn to read them.
_LABEL_GRID = 7
_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)
_SHADE = (208, 208, 208)

Point = tuple[float, float]
Fill = Literal["shade", "white"]
_FILLS: dict[Fill | None, tuple[int, int, int] | None] = {None: None, "shade": _SHADE, "white": _WHITE}


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


@dataclass(frozen=True)
class Placement:
    """Moves a figure by up to two units, so that no label has a fixed position."""

    right: int
    down: int

    @classmethod
    def random(cls, rng: Random) -> Placement:
        return cls(rng.randint(-2, 2), rng.randint(-2, 2))

    def apply(self, point: Point) -> Point:
        return point[0] + self.right, point[1] + self.down


class Canvas:
    """Lines, circles and labels at unit coordinates; x grows to the right and y downwards."""

    def __init__(self, pixels: int, placement: Placement) -> None:
        self._image = Image.new("RGB", (pixels, pixels), _WHITE)
        self._draw = ImageDraw.Draw(self._image)
        self._pixels_per_unit = pixels / UNITS
        self._placement = placement
        self._line_width = max(1, round(self._pixels_per_unit))
        self._font = _font(round(_FONT_UNITS * self._pixels_per_unit))

    def _at(self, point: Point) -> Point:
        x, y = self._placement.apply(point)
        return x * self._pixels_per_unit, y * self._pixels_per_unit

    def line(self, *points: Point) -> None:
        self._draw.line([self._at(p) for p in points], fill=_BLACK, width=self._line_width)

    def polygon(self, *points: Point, fill: Fill | None = None) -> None:
        if fill:
            self._draw.polygon([self._at(p) for p in points], fill=_FILLS[fill])
        self.line(*points, points[0])

    def rectangle(self, corner: Point, opposite: Point, fill: Fill | None = None) -> None:
        (left, top), (right, bottom) = corner, opposite
        self.polygon((left, top), (right, top), (right, bottom), (left, bottom), fill=fill)

    def circle(self, centre: Point, radius: float, fill: Fill | None = None) -> None:
        box = self._box(centre, radius)
        self._draw.ellipse(box, outline=_BLACK, fill=_FILLS[fill], width=self._line_width)

    def _box(self, centre: Point, radius: float) -> tuple[float, float, float, float]:
        x, y = self._at(centre)
        reach = radius * self._pixels_per_unit
        return (x - reach, y - reach, x + reach, y + reach)

    def arc(self, centre: Point, radius: float, start: float, end: float) -> None:
        """Clockwise from `start` to `end` degrees, 0 at three o'clock."""
        self._draw.arc(self._box(centre, radius), start, end, fill=_BLACK, width=self._line_width)

    def dot(self, centre: Point) -> None:
        self._draw.ellipse(self._box(centre, 1.2), fill=_BLACK)

    def right_angle(self, corner: Point, right: int, down: int) -> None:
        """A small square at `corner`; `right` and `down`, 1 or -1, are its directions."""
        x, y = corner
        side_x, side_y = x + 5 * right, y + 5 * down
        self.line((x, side_y), (side_x, side_y), (side_x, y))

    def label(self, centre: Point, text: object) -> None:
        """Text at the nearest grid point, on a white box, so that no line crosses a digit."""
        position = self._label_position(centre)
        box = self._draw.textbbox(position, str(text), font=self._font, anchor="mm")
        self._draw.rectangle((box[0] - 1, box[1] - 1, box[2], box[3]), fill=_WHITE)
        self._draw.text(position, str(text), font=self._font, fill=_BLACK, anchor="mm")

    def _label_position(self, centre: Point) -> tuple[int, int]:
        x, y = (round(p / _LABEL_GRID) * _LABEL_GRID for p in self._placement.apply(centre))
        return round(x * self._pixels_per_unit), round(y * self._pixels_per_unit)

    def png(self) -> bytes:
        buffer = BytesIO()
        self._image.save(buffer, format="PNG")
        return buffer.getvalue()
