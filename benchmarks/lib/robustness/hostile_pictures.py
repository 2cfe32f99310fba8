"""Broken pictures, pictures with false headers, and bytes that are no picture."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDES = [0, 1, 2, 3000, 100_000, 2**31 - 1, 2**32 - 1]
NOT_PICTURES = [
    b"", b"\0", PNG_SIGNATURE, b"\xff\xd8\xff", b"<svg/>", b"%PDF-1.4", b"GIF89a", b"\xff" * 5000,
]  # fmt: skip


def hostile_picture(rng: random.Random) -> bytes | None:
    """Bytes for a picture column, or None."""
    kinds: list[Callable[[random.Random], bytes | None]] = [
        lambda rng: None,
        lambda rng: rng.choice(NOT_PICTURES),
        lambda rng: encoded_picture(rng.choice(["GIF", "BMP", "TIFF", "WEBP"])),
        lambda rng: encoded_picture(rng.choice(["PNG", "JPEG"]))[: rng.randrange(200)],
        lambda rng: _with_false_header(rng.choice(SIDES), rng.choice(SIDES), rng.randrange(256)),
        lambda rng: _with_large_chunk(rng.choice([b"zTXt", b"iCCP", b"iTXt"]), rng.choice([10, 10**7])),
        _corrupted,
    ]
    return rng.choice(kinds)(rng)


def small_png() -> bytes:
    """A valid PNG."""
    return encoded_picture("PNG")


def noise_png(rng: random.Random, side: int) -> bytes:
    """A valid PNG that does not compress."""
    sink = io.BytesIO()
    Image.frombytes("RGB", (side, side), rng.randbytes(3 * side * side)).save(sink, "PNG")
    return sink.getvalue()


@cache
def encoded_picture(format_name: str) -> bytes:
    """A picture of sixteen by twelve pixels in one of Pillow's formats."""
    sink = io.BytesIO()
    Image.new("RGB", (16, 12), (200, 30, 0)).save(sink, format_name)
    return sink.getvalue()


def _with_false_header(width: int, height: int, depth: int) -> bytes:
    """A PNG with these sides in its header and a few bytes of pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth if depth % 3 else 8, 2, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(b"\0" * 100)), _chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(chunks)


def _corrupted(rng: random.Random) -> bytes:
    data = bytearray(encoded_picture(rng.choice(["PNG", "JPEG"])))
    for _ in range(rng.choice([1, 4, 30])):
        data[rng.randrange(8, len(data))] = rng.randrange(256)
    return bytes(data)


@cache
def _with_large_chunk(kind: bytes, length: int) -> bytes:
    """A PNG with text or a colour profile of `length` uncompressed bytes before its pixels."""
    picture = encoded_picture("PNG")
    end = len(PNG_SIGNATURE) + 25  # the header's chunk
    return picture[:end] + _chunk(kind, b"k\0\0" + zlib.compress(b"a" * length)) + picture[end:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
