"""Random broken datasets: Parquet files with corrupt bytes, and valid ones with unexpected columns."""

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

LENGTHS = [0, 1, 2, 3, 5, 8, 40]  # rows of a split
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
UNUSUAL_TYPES = [
    pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("s", "Nowhere/Nothing"), pa.timestamp("s"),
    pa.date32(), pa.date64(), pa.time64("ns"), pa.duration("ns"), pa.duration("s"), pa.decimal128(38, 37),
    pa.decimal256(76, 0), pa.float16(), pa.uint64(), pa.int8(), pa.bool_(), pa.null(), pa.binary(),
    pa.binary(4), pa.large_string(), pa.string_view(), pa.list_(pa.string()), pa.list_(pa.int8(), 2),
    pa.map_(pa.string(), pa.int64()), pa.struct([("bytes", pa.int64()), ("path", pa.binary())]),
    pa.struct([("a", pa.string())]), pa.dictionary(pa.int8(), pa.string()),
    pa.list_(pa.list_(pa.list_(pa.binary()))),
]  # fmt: skip
PATH_SUFFIXES = [
    "", "/", "/../..", "/nothing", "/train.parquet", "/" + "a" * 300, "/" + "a/" * 3000, "/é\n", "/\udcff",
]  # fmt: skip
SPLITS = ["train", "validation", "", "*", "..", "../train", "train.parquet", "[", "a" * 300, "\n", "\udcff"]
NUMBERS = [0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)]


def hostile_dataset(rng: random.Random, directory: Path) -> Callable[[], object]:
    """Writes an input into `directory`; the call loads it and hashes the problems, as a run does."""
    for old in directory.rglob("*.parquet"):
        old.unlink()
    sharded = rng.random() < 0.15
    for name in ["train-00000-of-00002.parquet", "data/train-1.parquet"] if sharded else ["train.parquet"]:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(rng.choice(_GENERATORS)(rng))
    path, split = str(directory), "train"
    if rng.random() < 0.03:
        path, split = path + rng.choice(PATH_SUFFIXES), rng.choice(SPLITS)
    return partial(_load, path, split)


def _load(path: str, split: str) -> str:
    return data_fingerprint(load_problems(path, split).problems)


# --- corrupt bytes ----------------------------------------------------------------------------------------


def _corrupt_bytes(rng: random.Random) -> bytes:
    """A valid file with bytes flipped, overwritten, removed, repeated or truncated."""
    data = bytearray(_valid_file(rng.randrange(6)))
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        position, length = _position(rng, len(data)), rng.choice([1, 1, 1, 2, 4, 8, 64])
        piece = data[position : position + length]
        data[position : position + length] = rng.choice(
            [
                bytes(byte ^ 1 << rng.randrange(8) for byte in piece),
                bytes(byte ^ 1 << rng.randrange(8) for byte in piece),
                rng.randbytes(len(piece)),
                rng.choice([b"\0", b"\xff", b"\x7f"]) * len(piece),
                b"",
                piece * 2,
            ]
        )
    return bytes(data)


def _position(rng: random.Random, length: int) -> int:
    """A random position, more often in the footer, which locates all other parts."""
    if rng.random() < 0.6:
        return max(0, length - 1 - rng.randrange(1500))
    return rng.randrange(max(1, length))


def _truncated_or_joined(rng: random.Random) -> bytes:
    """A file without its end or its beginning, with a wrong footer length, or two files joined."""
    data = _valid_file(rng.randrange(6))
    position = _position(rng, len(data))
    match rng.randrange(6):
        case 0:
            return data[:position]
        case 1:
            return data[:position] + data[-8:]
        case 2:
            return data[position:]
        case 3:
            length = rng.choice(
                [0, 1, 4, len(data), len(data) - 12, 2**31 - 1, 2**32 - 1, rng.randrange(3000)]
            )
            return data[:-8] + struct.pack("<I", length) + b"PAR1"
        case 4:
            return data[:position] + _valid_file(rng.randrange(6))[position:]
        case _:
            return rng.choice(
                [
                    b"",
                    b"PAR1",
                    b"PAR1PAR1",
                    b"PAR1\0\0\0\0PAR1",
                    b"PARE" + data[4:-4] + b"PARE",
                    rng.randbytes(5000),
                ]
            )


@cache
def _valid_file(kind: int) -> bytes:
    """Files by different writer options: compression, encodings, page and group sizes."""
    rng = random.Random(kind)
    rows = 20
    table = pa.table(
        {
            "images": [[{"bytes": noise_png(rng, 8 + row), "path": "a.png"}] for row in range(rows)],
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
    return _parquet(table, **options[kind])


# --- valid files with unexpected columns -------------------------------------------------------------


def _unexpected_columns(rng: random.Random) -> bytes:
    """Our columns or veRL's, some of them with unexpected contents."""
    rows = rng.choice(LENGTHS)
    make = _verl_columns if rng.random() < 0.25 else _our_columns
    columns = make(rng, rows)
    for _ in range(rng.choice([0, 1, 1, 2, 4])):
        name = rng.choice([*columns, "id", "choices", "precision", "metadata", "source", "extra_info"])
        match rng.randrange(4):
            case 0:
                columns[name] = _unexpected_column(rng, rows)
            case 1:
                columns[name] = _array([rng.choice(TEXTS) for _ in range(rows)])
            case 2:
                columns.pop(name, None)
            case 3:
                columns[rng.choice(["x", "\n" * 50, "é" * 3000, "", "Problem", "\0"])] = columns.get(
                    name, _array([None] * rows)
                )
    compression = rng.choice(["snappy", "none", "zstd"])
    return _parquet(pa.table(columns), compression=compression, row_group_size=rng.choice([1, 7, 100]))


def _our_columns(rng: random.Random, rows: int) -> dict[str, pa.Array]:
    images = [[_picture(rng)] for _ in range(rows)]
    texts = [rng.choice(["<image>Find x.", "<image>Find x.", rng.choice(TEXTS)]) for _ in range(rows)]
    answers = [rng.choice(["5", "5", rng.choice(TEXTS)]) for _ in range(rows)]
    ids = [rng.choice(["same", str(row), str(row), str(row)]) for row in range(rows)]
    return {"images": _array(images), "problem": _array(texts), "answer": _array(answers), "id": _array(ids)}


def _verl_columns(rng: random.Random, rows: int) -> dict[str, pa.Array]:
    turns = [
        [{"role": rng.choice(["user", "user", "system", ""]), "content": rng.choice(TEXTS)}]
        for _ in range(rows)
    ]
    truths = [{"style": "rule", "ground_truth": rng.choice(TEXTS)} for _ in range(rows)]
    extra = [{"question": rng.choice(TEXTS), "index": row} for row in range(rows)]
    images = [[_picture(rng)] for _ in range(rows)]
    names = ("images", "prompt", "reward_model", "extra_info", "data_source")
    sources = [rng.choice(TEXTS) for _ in range(rows)]
    values: list[list[Any]] = [images, turns, truths, extra, sources]
    return dict(zip(names, map(_array, values), strict=True))


def _picture(rng: random.Random) -> dict[str, Any]:
    picture = hostile_picture(rng) if rng.random() < 0.3 else small_png()
    return {"bytes": picture, "path": rng.choice([None, *NAMES])}


def _unexpected_column(rng: random.Random, rows: int) -> pa.Array:
    match rng.randrange(5):
        case 0:
            return pa.array([None] * rows, rng.choice(UNUSUAL_TYPES))
        case 1:
            return _reinterpreted(rng, rows)
        case 2:
            value = rng.choice(SCALARS)
            return _array([value if rng.random() < 0.8 else None for _ in range(rows)])
        case 3:
            return _array([_nested(rng) for _ in range(rows)])
        case _:
            # Dictionary encoding stores one long text for all rows: small on disk, large in memory.
            text = rng.choice(["a", "é", "<image>"]) * rng.choice([1000, 1000, 100_000, 100_000, 2_000_000])
            return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


def _reinterpreted(rng: random.Random, rows: int) -> pa.Array:
    """Numbers at the limits of their range as dates and times; invalid UTF-8 as text."""
    if rng.random() < 0.3:
        offsets = pa.array([3 * row for row in range(rows + 1)], pa.int32()).buffers()[1]
        bad_bytes = rng.choice([b"\xff\xff\xff", b"\xed\xa0\x80"])  # invalid UTF-8, and half a surrogate pair
        return pa.Array.from_buffers(
            pa.string(), rows, [None, offsets, pa.py_buffer(bad_bytes * max(1, rows))]
        )
    kind = rng.choice([kind for kind in UNUSUAL_TYPES if kind.num_fields == 0 and pa.types.is_temporal(kind)])
    size, limit = kind.bit_width, 2 ** (kind.bit_width - 1)
    numbers = [max(-limit, min(limit - 1, rng.choice(NUMBERS))) for _ in range(rows)]
    return pa.array(numbers, pa.int32() if size == 32 else pa.int64()).view(kind)


def _nested(rng: random.Random, depth: int = 0) -> list[Any]:
    return [_nested(rng, depth + 1) for _ in range(rng.randrange(3))] if depth < 6 else []


def _array(values: Sequence[Any]) -> pa.Array:
    """Type inferred by pyarrow; values without a common type become text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return pa.array([ascii(value) for value in values])


def _parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    try:
        pq.write_table(table, sink, **options)
    except (pa.ArrowException, ValueError):  # a type without a Parquet equivalent
        return b"PAR1"
    return sink.getvalue()


_GENERATORS = [
    _corrupt_bytes,
    _corrupt_bytes,
    _corrupt_bytes,
    _truncated_or_joined,
    _unexpected_columns,
    _unexpected_columns,
    _unexpected_columns,
    _unexpected_columns,
]
