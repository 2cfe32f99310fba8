"""Broken datasets, each drawn from a random source.

Parquet files with damaged bytes, and sound ones with columns that nobody promised.
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.lib.robustness.hostile_pictures import hostile_picture, noise_png, small_png
from vlm_uec.data.dataset import data_fingerprint, load_problems

LENGTHS = [0, 1, 2, 3, 5, 8, 40]  # of a split, in rows
TEXTS = [
    "Find x.", "<image>Find x.", "<image><image>Which?", "<image>", "", " ", "\n", "\0", "3", "B",
    "\\frac{1}{2}", "<|image_pad|>", "<image><|image_pad|><|vision_start|>Find x.", "<|im_end|>", "<IMAGE>",
    "&lt;image&gt;", "\u202e<image>x", "\u200b", "é" * 500, "😀", "a" * 20_001, "<image>" * 3000,
    "../../etc/passwd", "nan", "-0", "[]", "{}", "null", '{"a": 1}', '{"a": NaN}', "[" * 2000,
    '{"a":' * 2000, '"\\ud800"', '{"k": "\\ud800"}', '{"\\ud800": 1}', '{"a": 1e999}',
    '{"a": ' + "9" * 6000 + "}", "{" * 50_000,
]  # fmt: skip
NAMES = [
    "a.png", "../a.png", "/etc/passwd", "..\\a.png", "\0", "", "~/.ssh/id_rsa", "http://example.com/a.png",
    "file:///etc/hosts", "a" * 5000,
]  # fmt: skip
SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 3, 15, 16, 2**31, 2**63 - 1, -(2**63), 0.0, 1.0, 1.5, -1.0, 1e300,
    float("nan"), float("inf"), b"", b"3", b"\xff\xfe", b"\x00" * 1000,
]  # fmt: skip
ODD_TYPES = [
    pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("s", "Nowhere/Nothing"), pa.timestamp("s"),
    pa.date32(), pa.date64(), pa.time64("ns"), pa.duration("ns"), pa.duration("s"), pa.decimal128(38, 37),
    pa.decimal256(76, 0), pa.float16(), pa.uint64(), pa.int8(), pa.bool_(), pa.null(), pa.binary(),
    pa.binary(4), pa.large_string(), pa.string_view(), pa.list_(pa.string()), pa.list_(pa.int8(), 2),
    pa.map_(pa.string(), pa.int64()), pa.struct([("bytes", pa.int64()), ("path", pa.binary())]),
    pa.struct([("a", pa.string())]), pa.dictionary(pa.int8(), pa.string()),
    pa.list_(pa.list_(pa.list_(pa.binary()))),
]  # fmt: skip
ENDINGS = [
    "", "/", "/../..", "/nothing", "/train.parquet", "/" + "a" * 300, "/" + "a/" * 3000, "/é\n", "/\udcff",
]  # fmt: skip
SPLITS = ["train", "validation", "", "*", "..", "../train", "train.parquet", "[", "a" * 300, "\n", "\udcff"]
NUMBERS = [0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)]


def hostile_dataset(source: random.Random, directory: Path) -> Callable[[], object]:
    """Writes an input below `directory`; the call loads it and hashes what came out, as a run does."""
    for old in directory.rglob("*.parquet"):
        old.unlink()
    sharded = source.random() < 0.15
    for name in ["train-00000-of-00002.parquet", "data/train-1.parquet"] if sharded else ["train.parquet"]:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(source.choice(_FILES)(source))
    path, split = str(directory), "train"
    if source.random() < 0.03:
        path, split = path + source.choice(ENDINGS), source.choice(SPLITS)
    return partial(_load, path, split)


def _load(path: str, split: str) -> str:
    return data_fingerprint(load_problems(path, split).problems)


# --- damaged bytes ----------------------------------------------------------------------------------------


def _damaged(source: random.Random) -> bytes:
    """A sound file with bytes flipped, overwritten, cut out, repeated, or cut off."""
    data = bytearray(_sound(source.randrange(6)))
    for _ in range(source.choice([1, 1, 2, 8, 64])):
        place, length = _place(source, len(data)), source.choice([1, 1, 1, 2, 4, 8, 64])
        piece = data[place : place + length]
        data[place : place + length] = source.choice(
            [
                bytes(byte ^ 1 << source.randrange(8) for byte in piece),
                bytes(byte ^ 1 << source.randrange(8) for byte in piece),
                source.randbytes(len(piece)),
                source.choice([b"\0", b"\xff", b"\x7f"]) * len(piece),
                b"",
                piece * 2,
            ]
        )
    return bytes(data)


def _place(source: random.Random, length: int) -> int:
    """Anywhere; more often in the footer, which says where everything else lies."""
    if source.random() < 0.6:
        return max(0, length - 1 - source.randrange(1500))
    return source.randrange(max(1, length))


def _cut(source: random.Random) -> bytes:
    """A file without its end or beginning, with a footer of another length, or two files in one."""
    data = _sound(source.randrange(6))
    place = _place(source, len(data))
    match source.randrange(6):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + data[-8:]
        case 2:
            return data[place:]
        case 3:
            length = source.choice(
                [0, 1, 4, len(data), len(data) - 12, 2**31 - 1, 2**32 - 1, source.randrange(3000)]
            )
            return data[:-8] + struct.pack("<I", length) + b"PAR1"
        case 4:
            return data[:place] + _sound(source.randrange(6))[place:]
        case _:
            return source.choice(
                [
                    b"",
                    b"PAR1",
                    b"PAR1PAR1",
                    b"PAR1\0\0\0\0PAR1",
                    b"PARE" + data[4:-4] + b"PARE",
                    source.randbytes(5000),
                ]
            )


@cache
def _sound(kind: int) -> bytes:
    """Files as writers differ in making them: compression, encodings, page and group sizes."""
    source = random.Random(kind)
    rows = 20
    table = pa.table(
        {
            "images": [[{"bytes": noise_png(source, 8 + row), "path": "a.png"}] for row in range(rows)],
            "problem": [f"<image>Find x in figure {row}." for row in range(rows)],
            "answer": [str(row) for row in range(rows)],
            "id": [f"p{row}" for row in range(rows)],
            "choices": [["1", "2", "3", "4"][: row % 5] for row in range(rows)],
            "precision": [None if row % 2 else row % 4 for row in range(rows)],
            "metadata": ['{"level": 1}'] * rows,
        }
    )
    options: list[dict[str, Any]] = [
        {},
        {"compression": "none", "use_dictionary": False},
        {"compression": "zstd", "data_page_size": 64, "write_page_index": True},
        {"compression": "gzip", "row_group_size": 3},
        {
            "use_dictionary": False,
            "column_encoding": {"problem": "DELTA_BYTE_ARRAY", "answer": "DELTA_LENGTH_BYTE_ARRAY"},
        },
        {"compression": "brotli", "data_page_version": "2.0", "write_page_checksum": True},
    ]
    return _written(table, **options[kind])


# --- sound files with columns nobody promised -------------------------------------------------------------


def _odd(source: random.Random) -> bytes:
    """Our columns, or veRL's, of which some hold something else."""
    rows = source.choice(LENGTHS)
    make = _verl_columns if source.random() < 0.25 else _our_columns
    columns = make(source, rows)
    for _ in range(source.choice([0, 1, 1, 2, 4])):
        name = source.choice([*columns, "id", "choices", "precision", "metadata", "source", "extra_info"])
        match source.randrange(4):
            case 0:
                columns[name] = _odd_column(source, rows)
            case 1:
                columns[name] = _array([source.choice(TEXTS) for _ in range(rows)])
            case 2:
                columns.pop(name, None)
            case 3:
                columns[source.choice(["x", "\n" * 50, "é" * 3000, "", "Problem", "\0"])] = columns.get(
                    name, _array([None] * rows)
                )
    compression = source.choice(["snappy", "none", "zstd"])
    return _written(pa.table(columns), compression=compression, row_group_size=source.choice([1, 7, 100]))


def _our_columns(source: random.Random, rows: int) -> dict[str, pa.Array]:
    images = [[_picture(source)] for _ in range(rows)]
    texts = [source.choice(["<image>Find x.", "<image>Find x.", source.choice(TEXTS)]) for _ in range(rows)]
    answers = [source.choice(["5", "5", source.choice(TEXTS)]) for _ in range(rows)]
    ids = [source.choice(["same", str(row), str(row), str(row)]) for row in range(rows)]
    return {"images": _array(images), "problem": _array(texts), "answer": _array(answers), "id": _array(ids)}


def _verl_columns(source: random.Random, rows: int) -> dict[str, pa.Array]:
    turns = [
        [{"role": source.choice(["user", "user", "system", ""]), "content": source.choice(TEXTS)}]
        for _ in range(rows)
    ]
    truths = [{"style": "rule", "ground_truth": source.choice(TEXTS)} for _ in range(rows)]
    extra = [{"question": source.choice(TEXTS), "index": row} for row in range(rows)]
    images = [[_picture(source)] for _ in range(rows)]
    names = ("images", "prompt", "reward_model", "extra_info", "data_source")
    sources = [source.choice(TEXTS) for _ in range(rows)]
    values: list[list[Any]] = [images, turns, truths, extra, sources]
    return dict(zip(names, map(_array, values), strict=True))


def _picture(source: random.Random) -> dict[str, Any]:
    picture = hostile_picture(source) if source.random() < 0.3 else small_png()
    return {"bytes": picture, "path": source.choice([None, *NAMES])}


def _odd_column(source: random.Random, rows: int) -> pa.Array:
    match source.randrange(5):
        case 0:
            return pa.array([None] * rows, source.choice(ODD_TYPES))
        case 1:
            return _reinterpreted(source, rows)
        case 2:
            value = source.choice(SCALARS)
            return _array([value if source.random() < 0.8 else None for _ in range(rows)])
        case 3:
            return _array([_nested(source) for _ in range(rows)])
        case _:
            # A dictionary keeps one long text for all rows: small on disk, large in memory.
            text = source.choice(["a", "é", "<image>"]) * source.choice(
                [1000, 1000, 100_000, 100_000, 2_000_000]
            )
            return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


def _reinterpreted(source: random.Random, rows: int) -> pa.Array:
    """Numbers at the end of their range as dates and the like; bytes that are no text as text."""
    if source.random() < 0.3:
        offsets = pa.array([3 * row for row in range(rows + 1)], pa.int32()).buffers()[1]
        letter = source.choice([b"\xff\xff\xff", b"\xed\xa0\x80"])  # no UTF-8, and half a surrogate pair
        return pa.Array.from_buffers(pa.string(), rows, [None, offsets, pa.py_buffer(letter * max(1, rows))])
    kind = source.choice([kind for kind in ODD_TYPES if kind.num_fields == 0 and pa.types.is_temporal(kind)])
    size, limit = kind.bit_width, 2 ** (kind.bit_width - 1)
    numbers = [max(-limit, min(limit - 1, source.choice(NUMBERS))) for _ in range(rows)]
    return pa.array(numbers, pa.int32() if size == 32 else pa.int64()).view(kind)


def _nested(source: random.Random, depth: int = 0) -> list[Any]:
    return [_nested(source, depth + 1) for _ in range(source.randrange(3))] if depth < 6 else []


def _array(values: Sequence[Any]) -> pa.Array:
    """As pyarrow infers it; what does not go together becomes text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return pa.array([ascii(value) for value in values])


def _written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    try:
        pq.write_table(table, sink, **options)
    except (pa.ArrowException, ValueError):  # a type that parquet does not have
        return b"PAR1"
    return sink.getvalue()


_FILES = [_damaged, _damaged, _damaged, _cut, _odd, _odd, _odd, _odd]
