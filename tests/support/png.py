"""PNG files of every colour type and depth, written and read with `zlib` alone: an independent reference."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"

Pixel = tuple[int, ...]


@dataclass(frozen=True)
class Png:
    """The samples of a picture, as stored."""

    kind: int
    depth: int
    rows: Sequence[Sequence[Pixel]]
    palette: Sequence[Pixel] = ()
    transparent: bytes = b""  # the content of the tRNS chunk

    def encode(self) -> bytes:
        header = struct.pack(">IIBBBBB", len(self.rows[0]), len(self.rows), self.depth, self.kind, 0, 0, 0)
        lines = b"".join(b"\0" + self._line(row) for row in self.rows)
        chunks = [chunk(b"IHDR", header)]
        if self.palette:
            chunks.append(chunk(b"PLTE", bytes(value for entry in self.palette for value in entry)))
        if self.transparent:
            chunks.append(chunk(b"tRNS", self.transparent))
        chunks += [chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
        return _SIGNATURE + b"".join(chunks)

    def _line(self, row: Sequence[Pixel]) -> bytes:
        bits = "".join(f"{sample:0{self.depth}b}" for pixel in row for sample in pixel)
        bits += "0" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def read_on_white(data: bytes) -> list[list[Pixel]]:
    """The 8-bit RGB pixels of a file without filters or interlacing, on white paper (PNG, sections 11 to 13).

    A sample of d bits is scaled to the nearest of 8 bits; tRNS is compared with the samples as stored.
    """
    chunks = _chunks(data)
    width, height, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    lines, size = zlib.decompress(chunks[b"IDAT"]), (width * CHANNELS[kind] * depth + 7) // 8
    pixels = []
    for start in range(0, height * (size + 1), size + 1):
        assert lines[start] == 0, "filtered"
        bits = f"{int.from_bytes(lines[start + 1 : start + 1 + size], 'big'):0{8 * size}b}"
        samples = [int(bits[i * depth : (i + 1) * depth], 2) for i in range(width * CHANNELS[kind])]
        stored = [tuple(samples[i * CHANNELS[kind] : (i + 1) * CHANNELS[kind]]) for i in range(width)]
        pixels.append([_on_white(*_colour_and_alpha(pixel, kind, depth, chunks)) for pixel in stored])
    return pixels


def _chunks(data: bytes) -> dict[bytes, bytes]:
    found, position = {}, len(_SIGNATURE)
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        found[data[position + 4 : position + 8]] = data[position + 8 : position + 8 + length]
        position += 12 + length
    return found


def _colour_and_alpha(pixel: Pixel, kind: int, depth: int, chunks: dict[bytes, bytes]) -> tuple[Pixel, float]:
    """The colour in 8 bits and the alpha from 0 to 1."""
    top, transparent = 2**depth - 1, chunks.get(b"tRNS", b"")
    scaled = tuple((2 * 255 * sample + top) // (2 * top) for sample in pixel)
    if kind == PALETTE:
        entry = chunks[b"PLTE"][3 * pixel[0] : 3 * pixel[0] + 3]
        alphas = dict(enumerate(transparent))
        return tuple(entry), alphas.get(pixel[0], 255) / 255
    if kind in (GREY_ALPHA, COLOUR_ALPHA):
        return scaled[:-1], pixel[-1] / top
    key = struct.unpack(f">{len(transparent) // 2}H", transparent)
    return scaled, 0.0 if key == pixel else 1.0


def _on_white(colour: Pixel, alpha: float) -> Pixel:
    red, green, blue = colour if len(colour) == 3 else 3 * colour
    return tuple(int(alpha * value + (1 - alpha) * 255 + 0.5) for value in (red, green, blue))
