from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.writer import Rejection, write_dataset
from vlm_uec.data.dataset import data_fingerprint, load_problems
from vlm_uec.data.rows import RejectedRow, parse_problems
from vlm_uec.errors import UserError
from vlm_uec.types import Problem


def _png(shade: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 8), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


PROBLEMS = [
    Problem(
        "one",
        "<image>Find x.",
        "3",
        (_png(1),),
        ("2", "3"),
        1,
        "multi_choice",
        "integer",
        "s",
        {"k": [1, {"d": None}]},
    ),
    Problem("two", "<image> and <image>: which?", "\\frac { 2 } { 5 }", (_png(2), _png(3))),
    Problem("none", "What is 2 + 2?", "4"),
]


def _minimal_dataset(path: Path, **columns: list[Any]) -> str:
    """Writes a split `train` with only the three required columns; by default, one valid row."""
    base = {"images": [[{"bytes": _png(), "path": None}]], "problem": ["<image>Find x."], "answer": ["5"]}
    path.mkdir(exist_ok=True)
    pq.write_table(pa.table({**base, **columns}), path / "train.parquet")
    return str(path)


def test_round_trip_keeps_every_field(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": PROBLEMS}, {})
    loaded = load_problems(str(tmp_path), "train")
    assert loaded.problems == PROBLEMS
    assert not loaded.rejected
    assert pickle.loads(pickle.dumps(loaded.problems)) == PROBLEMS


def test_datasets_library_reads_pictures(tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", {"train": PROBLEMS, "validation": PROBLEMS[:1]}, {})
    read = datasets.load_dataset("parquet", data_dir=str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in read.items()} == {"train": 3, "validation": 1}
    row = read["train"][1]
    assert [image.getpixel((0, 0)) for image in row["images"]] == [(2, 0, 0), (3, 0, 0)]
    assert row["problem"] == "<image> and <image>: which?"
    assert [row["precision"] for row in read["train"]] == [1, None, None]
    assert read["train"][0]["choices"] == ["2", "3"]
    assert json.loads(read["train"][0]["metadata"]) == {"k": [1, {"d": None}]}


def test_manifest_counts_and_lists_rejections(tmp_path: Path) -> None:
    rows: list[Problem | Rejection] = [
        *PROBLEMS,
        Rejection("lost", "missing picture", "a.png"),
        PROBLEMS[0],
        Problem("empty", "Why?", " "),
    ]
    manifest = write_dataset(
        tmp_path, {"train": rows, "test": [Rejection("t", "bad")]}, {"seed": 1}, {"seen": 6}
    )
    assert manifest == json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 3, "test": 0}
    assert manifest["rejected_counts"] == {
        "train": {"duplicate id": 1, "empty answer": 1, "missing picture": 1},
        "test": {"bad": 1},
    }
    assert manifest["rejected"][0] == {
        "split": "train",
        "id": "lost",
        "reason": "missing picture",
        "detail": "a.png",
    }
    assert manifest["settings"] == {"seed": 1}
    assert manifest["counters"] == {"seen": 6}
    assert not (tmp_path / "test.parquet").exists()


def test_manifest_hash_depends_on_the_content(tmp_path: Path) -> None:
    first = write_dataset(tmp_path / "a", {"train": PROBLEMS}, {})
    again = write_dataset(tmp_path / "b", {"train": iter(PROBLEMS)}, {})
    other = write_dataset(tmp_path / "c", {"train": PROBLEMS[::-1]}, {})
    assert first == again
    assert first["sha256"] != other["sha256"]
    assert first["sha256"]["train"] == data_fingerprint(load_problems(str(tmp_path / "a"), "train").problems)


def test_row_groups_keep_the_order(tmp_path: Path) -> None:
    problems = [Problem(f"p{number}", "Question", str(number)) for number in range(250)]
    write_dataset(tmp_path, {"train": problems}, {})
    assert pq.ParquetFile(tmp_path / "train.parquet").num_row_groups == 3
    assert load_problems(str(tmp_path), "train").problems == problems


def test_a_failed_write_keeps_the_old_dataset(tmp_path: Path) -> None:
    before = write_dataset(tmp_path, {"train": PROBLEMS}, {})

    def broken() -> Iterator[Problem]:
        yield Problem("new", "Question", "1")
        raise RuntimeError("generator failed")

    with pytest.raises(RuntimeError, match="generator failed"):
        write_dataset(tmp_path, {"train": PROBLEMS[:1], "test": broken()}, {})
    assert {path.name for path in tmp_path.iterdir()} == {"train.parquet", "manifest.json"}
    assert json.loads((tmp_path / "manifest.json").read_text()) == before
    assert load_problems(str(tmp_path), "train").problems == PROBLEMS


def test_rewriting_removes_splits_of_an_earlier_run(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": PROBLEMS, "test": PROBLEMS}, {})
    write_dataset(tmp_path, {"train": PROBLEMS[:1]}, {})
    assert {path.name for path in tmp_path.iterdir()} == {"train.parquet", "manifest.json"}


def test_writer_refuses_unknown_splits_and_unwritable_directories(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dev"):
        write_dataset(tmp_path, {"dev": PROBLEMS}, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another --out"):
        write_dataset(tmp_path / "file", {"train": PROBLEMS}, {})


def test_three_columns_suffice(tmp_path: Path) -> None:
    images = [[{"bytes": _png(shade), "path": None}] for shade in (1, 2, 1)]
    path = _minimal_dataset(tmp_path, images=images, problem=["<image>Find x."] * 3, answer=["5"] * 3)
    loaded = load_problems(path, "train")
    first, second = loaded.problems
    assert loaded.rejected == {"duplicate id": 1}  # the third row equals the first
    assert len(first.id) == 32
    assert first.id != second.id
    assert (first.choices, first.precision, first.question_type, first.metadata) == (
        (),
        None,
        "free_form",
        {},
    )
    assert load_problems(path, "train").problems[0].id == first.id


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"problem": "no mark"}, "number of <image> differs from number of pictures"),
        ({"problem": "<image><image>two"}, "number of <image> differs from number of pictures"),
        ({"problem": None}, "'problem' is null"),
        ({"problem": "<image>"}, "empty question"),
        ({"answer": " \n"}, "empty answer"),
        ({"answer": "9" * 20_001}, "text over 20000 characters"),
        (
            {"images": [{"bytes": None, "path": "a.png"}]},
            "no bytes of the picture (docs/own_data.md)",
        ),
        ({"images": [{"bytes": b"text", "path": None}]}, "picture is not PNG, JPEG, WebP, GIF, BMP or TIFF"),
        ({"images": [{"bytes": _png()[:20], "path": None}]}, "broken picture"),
        ({"metadata": "[1]"}, "'metadata' is not a JSON object"),
        ({"metadata": "{"}, "'metadata' is not a JSON object"),
        ({"metadata": "[" * 19_000}, "'metadata' is not a JSON object"),
        ({"metadata": '{"a":' * 33 + "1" + "}" * 33}, "'metadata' is nested deeper than 32"),
        ({"precision": 1.5}, "'precision' is not a whole number from 0 to 15"),
        ({"precision": float("nan")}, "'precision' is not a whole number from 0 to 15"),
    ],
)
def test_invalid_row_is_dropped_with_its_reason(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    valid: dict[str, Any] = {
        "images": [{"bytes": _png(), "path": None}],
        "problem": "<image>Q",
        "answer": "1",
    }
    valid |= {"metadata": "", "precision": 1.0}
    invalid = {**valid, **row}
    columns = {name: [valid[name], invalid[name]] for name in valid}
    loaded = load_problems(_minimal_dataset(tmp_path, **columns), "train")
    assert loaded.rejected == {reason: 1}
    assert [(problem.answer, problem.precision) for problem in loaded.problems] == [("1", 1)]


def test_hub_shards_in_the_folder_data_are_found(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in (1, 0):
        shard = write_dataset(tmp_path / "w", {"train": [PROBLEMS[number]]}, {})
        assert shard["counts"]["train"] == 1
        (tmp_path / "w" / "train.parquet").rename(tmp_path / "data" / f"train-0000{number}-of-00002.parquet")
    assert load_problems(str(tmp_path), "train").problems == PROBLEMS[:2]


def test_shard_names_may_end_in_a_hash(tmp_path: Path) -> None:
    for number, mark in enumerate(("0a1b2c3d4e5f6071", "ffffffffffffffff")):
        write_dataset(tmp_path / "w", {"train": [PROBLEMS[number]]}, {})
        name = f"train-0000{number}-of-00002-{mark}.parquet"
        (tmp_path / "w" / "train.parquet").rename(tmp_path / name)
    assert load_problems(str(tmp_path), "train").problems == PROBLEMS[:2]


def test_problems_and_rejected_rows_keep_their_order() -> None:
    valid: dict[str, Any] = {"images": [], "problem": "Why?", "answer": "1"}
    rows = [
        {**valid, "id": "a"},
        {**valid, "id": "b", "answer": " "},
        {**valid, "id": None, "problem": None},
        {**valid, "id": "a", "answer": "2"},
        {**valid, "id": 7},
    ]
    items = list(parse_problems(rows))
    assert [item.id for item in items] == ["a", "b", "", "a", "7"]
    assert [item for item in items if isinstance(item, RejectedRow)] == [
        RejectedRow(1, "b", "empty answer", "Why?"),
        RejectedRow(2, "", "'problem' is null"),
        RejectedRow(3, "a", "duplicate id", "Why?"),
    ]


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({"when": date(2024, 5, 1)}, True),
        ({"long": "x" * 20_001}, False),
        ({"escaped": "\u4e2d" * 4_000}, False),  # six characters each as JSON
    ],
)
def test_written_metadata_can_be_read(tmp_path: Path, metadata: dict[str, Any], kept: bool) -> None:
    problems = [*PROBLEMS, Problem("last", "Why?", "1", metadata=metadata)]
    manifest = write_dataset(tmp_path, {"train": problems}, {})
    loaded = load_problems(str(tmp_path), "train")
    assert len(loaded.problems) == manifest["counts"]["train"] == len(PROBLEMS) + kept
    assert data_fingerprint(loaded.problems) == manifest["sha256"]["train"]


def test_hub_dataset_is_loaded_like_a_local_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / "set", {"train": PROBLEMS}, {})
    local = datasets.load_dataset(
        "parquet", data_dir=str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: local)
    assert load_problems("someone/geometry", "train").problems == PROBLEMS


@pytest.mark.parametrize(
    ("columns", "split", "message"),
    [
        ({}, "test", r"no split 'test' here, available: train"),
        ({"answer": [" "]}, "train", r"no usable row \(empty answer: 1\)"),
        ({"answer": [[5]]}, "train", r"no usable row \('answer' is neither text nor a number: 1\)"),
    ],
)
def test_structural_faults_are_user_errors(
    tmp_path: Path, columns: dict[str, list[Any]], split: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_problems(_minimal_dataset(tmp_path, **columns), split)


def test_a_split_without_rows(tmp_path: Path) -> None:
    path = _minimal_dataset(tmp_path)
    (file,) = tmp_path.glob("train*.parquet")
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    with pytest.raises(UserError, match=r"\(train\): the split has no rows; fix"):
        load_problems(path, "train")


def test_missing_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"problem": ["a"], "answer": ["b"]}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"column 'images' is missing"):
        load_problems(str(tmp_path), "train")


def test_broken_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(UserError, match="not a parquet file"):
        load_problems(str(tmp_path), "train")
    with pytest.raises(UserError, match="not a directory"):
        load_problems(str(tmp_path / "train.parquet"), "train")
    with pytest.raises(UserError, match="no such directory"):
        load_problems(str(tmp_path / "absent"), "train")


_CHANGES = [
    {"id": "x"},
    {"question": "<image>Find z."},
    {"answer": "4"},
    {"images": (_png(9),)},
    {"choices": ("23",)},
    {"precision": 2},
    {"metadata": {}},
]


@pytest.mark.parametrize("change", _CHANGES)
def test_fingerprint_changes_with_every_field(change: dict[str, Any]) -> None:
    changed = Problem(**{**vars(PROBLEMS[0]), **change})
    assert data_fingerprint([changed]) != data_fingerprint([PROBLEMS[0]])


_TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: bool(text.strip()))


@settings(deadline=None, max_examples=50)  # no deadline, because the test writes files
@given(question=_TEXT.filter(lambda text: "<image>" not in text), answer=_TEXT, choices=st.lists(_TEXT))
def test_any_text_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, question: str, answer: str, choices: list[str]
) -> None:
    out = tmp_path_factory.mktemp("set")
    problem = Problem("id", "<image>" + question, answer, (_png(),), tuple(choices))
    manifest = write_dataset(out, {"test": [problem]}, {})
    loaded = load_problems(str(out), "test").problems
    assert loaded == [problem]
    assert data_fingerprint(loaded) == manifest["sha256"]["test"]
