"""Pictures that are broken, lie about themselves, or are none."""

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
NO_PICTURES = [
    b"", b"\0", PNG_SIGNATURE, b"\xff\xd8\xff", b"<svg/>", b"%PDF-1.4", b"GIF89a", b"\xff" * 5000,
]  # fmt: skip


def hostile_picture(source: random.Random) -> bytes | None:
    """Bytes where a picture should be, or nothing."""
    kinds: list[Callable[[random.Random], bytes | None]] = [
        lambda source: None,
        lambda source: source.choice(NO_PICTURES),
        lambda source: encoded(source.choice(["GIF", "BMP", "TIFF", "WEBP"])),
        lambda source: encoded(source.choice(["PNG", "JPEG"]))[: source.randrange(200)],
        lambda source: _claiming(source.choice(SIDES), source.choice(SIDES), source.randrange(256)),
        lambda source: _annotated(source.choice([b"zTXt", b"iCCP", b"iTXt"]), source.choice([10, 10**7])),
        _scratched,
    ]
    return source.choice(kinds)(source)


def small_png() -> bytes:
    """A sound one."""
    return encoded("PNG")


def noise_png(source: random.Random, side: int) -> bytes:
    """A sound one that does not compress."""
    sink = io.BytesIO()
    Image.frombytes("RGB", (side, side), source.randbytes(3 * side * side)).save(sink, "PNG")
    return sink.getvalue()


@cache
def encoded(format_name: str) -> bytes:
    """Sixteen by twelve pixels in one of Pillow's formats."""
    sink = io.BytesIO()
    Image.new("RGB", (16, 12), (200, 30, 0)).save(sink, format_name)
    return sink.getvalue()


def _claiming(width: int, height: int, depth: int) -> bytes:
    """A PNG whose header claims these sides over a few bytes of pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth if depth % 3 else 8, 2, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(b"\0" * 100)), _chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(chunks)


def _scratched(source: random.Random) -> bytes:
    data = bytearray(encoded(source.choice(["PNG", "JPEG"])))
    for _ in range(source.choice([1, 4, 30])):
        data[source.randrange(8, len(data))] = source.randrange(256)
    return bytes(data)


@cache
def _annotated(kind: bytes, length: int) -> bytes:
    """A PNG with so many bytes, once unpacked, of text or colour profile before its pixels."""
    picture = encoded("PNG")
    end = len(PNG_SIGNATURE) + 25  # of the header's chunk
    return picture[:end] + _chunk(kind, b"k\0\0" + zlib.compress(b"a" * length)) + picture[end:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
