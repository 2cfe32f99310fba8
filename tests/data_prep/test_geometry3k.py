from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.__main__ import main
from data_prep.geometry3k import prepare
from data_prep.records import MAX_RECORD_BYTES
from vlm_uec.data.dataset import LoadedSplit, load_problems
from vlm_uec.errors import UserError

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "geometry3k"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="shared Geometry3K is not available")


def _encoded(kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(buffer, kind)
    return buffer.getvalue()


def _png_with_header_size(width: int, height: int) -> bytes:
    """A PNG whose header states this size, with one byte of pixel data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"\0") + chunk(b"IEND", b"")


def _raw_problem(raw: Path, number: int, pictures: Mapping[str, bytes] | None = None, **changes: Any) -> None:
    folder = raw / "train" / str(number)
    folder.mkdir(parents=True)
    record = {"problem_text": "Find x.", "choices": ["1", "\\sqrt { 5 }", "3"], "answer": "B", **changes}
    (folder / "data.json").write_text(json.dumps(record))
    for name, data in ({"img_diagram.png": _encoded()} if pictures is None else pictures).items():
        (folder / name).write_bytes(data)


def _jsonl(raw: Path, *records: Mapping[str, Any] | bytes, split: str = "train") -> None:
    raw.mkdir(exist_ok=True)
    (raw / "good.png").write_bytes(_encoded())
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    (raw / f"{split}.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def _record(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": number, "problem": "Find y.", "answer": "15", "image": "good.png", **changes}


def _load(out: Path) -> LoadedSplit:
    return load_problems(str(out), "train")


def test_raw_record_becomes_a_problem(tmp_path: Path) -> None:
    _raw_problem(tmp_path / "raw", 11, problem_type_graph=["Circle"])
    prepare(tmp_path / "raw", tmp_path / "out")
    (problem,) = _load(tmp_path / "out").problems
    assert problem.id == "geometry3k-train-11"
    assert problem.question == "<image>Find x."
    assert problem.answer == "\\sqrt { 5 }"
    assert problem.choices == ("1", "\\sqrt { 5 }", "3")
    assert problem.images == (_encoded(),)
    assert (problem.source, problem.question_type, problem.answer_type) == ("geometry3k", "free_form", "text")
    assert problem.metadata["problem_type_graph"] == ["Circle"]


@pytest.mark.parametrize(("letter", "kind"), [("A", "integer"), ("c", "float")])
def test_answer_letter_selects_the_choice(tmp_path: Path, letter: str, kind: str) -> None:
    _raw_problem(tmp_path / "raw", 1, answer=letter, choices=["7", "2:3", "6.45"])
    prepare(tmp_path / "raw", tmp_path / "out")
    (problem,) = _load(tmp_path / "out").problems
    assert (problem.answer, problem.answer_type) == ({"A": "7", "c": "6.45"}[letter], kind)


def test_the_clean_diagram_is_preferred_and_both_are_counted(tmp_path: Path) -> None:
    clean, pointed = _encoded(size=(10, 10)), _encoded(size=(20, 20))
    _raw_problem(tmp_path / "raw", 1, {"img_diagram.png": clean, "img_diagram_point.png": pointed})
    _raw_problem(tmp_path / "raw", 2, {"img_diagram_point.png": pointed})
    _raw_problem(tmp_path / "raw", 10, {"img_diagram_point.png": pointed})
    manifest = prepare(tmp_path / "raw", tmp_path / "out")
    assert manifest["counters"] == {"img_diagram.png": 1, "img_diagram_point.png": 2}
    problems = _load(tmp_path / "out").problems
    assert [problem.id.rsplit("-", 1)[1] for problem in problems] == ["1", "2", "10"]
    assert [problem.images for problem in problems] == [(clean,), (pointed,), (pointed,)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": "D"}, "answer letter out of range"),
        ({"answer": "AB"}, "answer letter out of range"),
        ({"answer": " "}, "empty answer"),
        ({"choices": ["1", " ", "3"]}, "empty answer"),
        ({"answer": 1}, "wrong type"),
        ({"choices": "123"}, "wrong type"),
        ({"choices": [1, 2, 3]}, "wrong type"),
        ({"problem_text": None}, "wrong type"),
        ({"problem_text": "  "}, "empty question"),
        ({"problem_text": "See <image> and find x."}, "question contains <image>"),
        ({"problem_text": "lone \ud800"}, "text is not valid Unicode"),
    ],
)
def test_invalid_raw_record_is_a_counted_rejection(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    _raw_problem(tmp_path / "raw", 1)
    _raw_problem(tmp_path / "raw", 2, **changes)
    manifest = prepare(tmp_path / "raw", tmp_path / "out")
    assert manifest["counts"] == {"train": 1}
    assert manifest["rejected_counts"] == {"train": {reason: 1}}
    (row,) = manifest["rejected"]
    assert (row["split"], row["id"], row["reason"]) == ("train", "geometry3k-train-2", reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero-size picture"),
        (_png_with_header_size(0, 5), "broken picture"),
        (_encoded(size=(400, 300))[:-40], "broken picture"),
        (_encoded()[:30], "broken picture"),
        (_encoded("JPEG")[:-200], "broken picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "picture is not PNG, JPEG, WebP, GIF, BMP or TIFF"),
        (b"<svg/>", "picture is not PNG, JPEG, WebP, GIF, BMP or TIFF"),
        (_png_with_header_size(20_000, 20_000), "picture over 64000000 pixels"),
        (_png_with_header_size(10_000, 10_000), "picture over 64000000 pixels"),
        (_encoded(size=(402, 2)), "picture sides beyond 200:1"),
        (b"\x89PNG\r\n\x1a\n" + bytes(32 * 2**20), "picture over 33554432 bytes"),
        (_png_with_header_size(5_000, 6_000), "broken picture"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_invalid_picture_is_a_counted_rejection(tmp_path: Path, data: bytes, reason: str) -> None:
    _raw_problem(tmp_path / "raw", 1)
    _raw_problem(tmp_path / "raw", 2, {"img_diagram.png": data})
    manifest = prepare(tmp_path / "raw", tmp_path / "out")
    assert manifest["rejected_counts"] == {"train": {reason: 1}}
    assert manifest["counters"] == {"img_diagram.png": 1}


def test_raw_folder_without_record_or_picture(tmp_path: Path) -> None:
    _raw_problem(tmp_path / "raw", 1)
    _raw_problem(tmp_path / "raw", 2, {})
    (tmp_path / "raw" / "train" / "3").mkdir()
    manifest = prepare(tmp_path / "raw", tmp_path / "out")
    assert manifest["rejected_counts"] == {"train": {"missing data.json": 1, "missing picture": 1}}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"{not json", "malformed JSON"),
        (b"[1, 2]", "malformed JSON"),
        (b"\xff\xfe\xfd", "malformed JSON"),
        (b"[" * 100_000, "malformed JSON"),
        (b'{"id": 1, "problem": "' + b"x" * MAX_RECORD_BYTES + b'"}', "record over 1048576 bytes"),
        (_record(2, image=None), "missing picture"),
        (_record(2, image="other.png"), "missing picture"),
        (_record(2, image="nul\0.png"), "missing picture"),
        (_record(2, image="x" * 5000), "missing picture"),
        (_record(2, image="."), "missing picture"),
        (_record(2, image="../secret.png"), "picture path leaves the directory"),
        (_record(2, image="/etc/hostname"), "picture path leaves the directory"),
        (_record(2, image="link.png"), "picture path leaves the directory"),
        (_record(2, image=["good.png"]), "wrong type"),
        (_record(2, answer=15), "wrong type"),
        (_record(2, id=None), "wrong type"),
        (_record(2, id=True), "wrong type"),
        (_record(2, answer=""), "empty answer"),
        (_record(2, problem="<image>Find x."), "question contains <image>"),
        (_record(2, problem="x" * 20_001), "text over 20000 characters"),
        (_record(1), "duplicate id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_jsonl_record_is_a_counted_rejection(
    tmp_path: Path, record: Mapping[str, Any] | bytes, reason: str
) -> None:
    (tmp_path / "secret.png").write_bytes(_encoded())
    _jsonl(tmp_path / "raw", _record(1), record, _record(3))
    (tmp_path / "raw" / "link.png").symlink_to(tmp_path / "secret.png")
    manifest = prepare(tmp_path / "raw", tmp_path / "out")
    assert manifest["rejected_counts"] == {"train": {reason: 1}}
    assert [problem.id for problem in _load(tmp_path / "out").problems] == [
        "geometry3k-train-1",
        "geometry3k-train-3",
    ]


def test_special_tokens_in_the_text_stay_text(tmp_path: Path) -> None:
    _jsonl(tmp_path / "raw", _record(1, problem="<|image_pad|><|im_end|> find y."))
    prepare(tmp_path / "raw", tmp_path / "out")
    assert _load(tmp_path / "out").problems[0].question == "<image><|image_pad|><|im_end|> find y."


def test_the_top_level_determines_the_layout(tmp_path: Path) -> None:
    _jsonl(tmp_path / "all", _record(1))
    _raw_problem(tmp_path / "all" / "raw", 7)
    assert prepare(tmp_path / "all", tmp_path / "a")["settings"]["layout"] == "jsonl"
    assert prepare(tmp_path / "all" / "raw", tmp_path / "b")["settings"]["layout"] == "inter-gps"


def test_val_is_written_as_validation(tmp_path: Path) -> None:
    _jsonl(tmp_path / "raw", _record(9), split="val")
    prepare(tmp_path / "raw", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"validation.parquet", "manifest.json"}
    assert load_problems(str(tmp_path / "out"), "validation").problems[0].id == "geometry3k-val-9"


def test_command_prints_what_was_kept_and_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _jsonl(tmp_path / "raw", _record(1), _record(2, image=None), _record(3, image=None))
    assert main(["geometry3k", "--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]) == 0
    assert "train: 1 problems, 2 rejected (missing picture 2)" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["absent", "a file", "unknown layout", "no usable row"])
def test_structural_fault_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    raw = tmp_path / "raw"
    if fault == "a file":
        raw.write_text("x")
    if fault == "unknown layout":
        raw.mkdir()
    if fault == "no usable row":
        _jsonl(raw, _record(1, image=None))
    assert main(["geometry3k", "--raw", str(raw), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path) in error
    assert not list(tmp_path.glob("out/*"))


@pytest.fixture(scope="module")
def shared_jsonl(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("geometry3k")
    return out, prepare(SHARED, out)


@needs_shared
def test_every_shared_problem_is_kept_or_rejected(shared_jsonl: tuple[Path, dict[str, Any]]) -> None:
    out, manifest = shared_jsonl
    totals = {
        split: manifest["counts"][split] + sum(manifest["rejected_counts"][split].values())
        for split in ("train", "validation", "test")
    }
    assert totals == {"train": 2101, "validation": 300, "test": 601}
    assert sum(totals.values()) == 3002
    assert manifest["counts"] == {"train": 195, "validation": 280, "test": 554}
    assert sum(manifest["counters"].values()) == 195 + 280 + 554
    loaded = load_problems(str(out), "test")
    assert len(loaded.problems) == 554
    assert not loaded.rejected


@needs_shared
def test_both_layouts_give_the_same_problems(
    tmp_path: Path, shared_jsonl: tuple[Path, dict[str, Any]]
) -> None:
    manifest = prepare(SHARED / "raw", tmp_path)
    counted = sum(manifest["counts"].values()) + len(manifest["rejected"])
    assert counted == 56 + 2 + 300
    assert manifest["counters"]["img_diagram.png"] == 10
    jsonl = {problem.id: problem for problem in load_problems(str(shared_jsonl[0]), "test").problems}
    for problem in load_problems(str(tmp_path), "test").problems:
        other = jsonl[problem.id]
        assert (problem.question, problem.answer, problem.images) == (
            other.question,
            other.answer,
            other.images,
        )


def test_unreadable_source_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _jsonl(tmp_path / "raw", _record(1))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("data_prep.geometry3k._lines", refuse)
    with pytest.raises(UserError, match=r"train\.jsonl: cannot be read"):
        prepare(tmp_path / "raw", tmp_path / "out")


def _table(*rows: Mapping[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**_table_row(), **row} for row in rows])


def _table_row(picture: bytes | None = None, path: str | None = None) -> dict[str, Any]:
    picture = _encoded() if picture is None else picture
    return {"images": [{"bytes": picture, "path": path}], "problem": "<image>Find x.", "answer": "5"}


def _prepare_tables(out: Path, *items: object) -> dict[str, Any]:
    assert main(["geometry3k", "--parquet", *map(str, items), "--out", str(out)]) == 0
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return manifest


def test_three_columns_become_problems(tmp_path: Path) -> None:
    jpeg = _encoded("JPEG")
    rows = [_table_row(), {**_table_row(jpeg), "answer": "2.5"}, {**_table_row(), "answer": "3 \\pi"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train-00000-of-00001.parquet")
    manifest = _prepare_tables(tmp_path / "out", tmp_path / "train-00000-of-00001.parquet")
    assert manifest["settings"]["files"] == ["train-00000-of-00001.parquet"]
    problems = _load(tmp_path / "out").problems
    assert [(problem.answer, problem.answer_type) for problem in problems] == [
        ("5", "integer"),
        ("2.5", "float"),
        ("3 \\pi", "text"),
    ]
    assert [problem.images for problem in problems] == [(_encoded(),), (jpeg,), (_encoded(),)]
    assert {(problem.source, len(problem.id)) for problem in problems} == {("geometry3k", 32)}


def test_optional_columns_are_kept(tmp_path: Path) -> None:
    columns = {
        "id": "mine",
        "choices": ["4", "5"],
        "precision": 2,
        "question_type": "multi_choice",
        "answer_type": "text",
        "source": "elsewhere",
        "metadata": '{"k": [1]}',
    }
    pq.write_table(_table(columns), tmp_path / "test.parquet")
    _prepare_tables(tmp_path / "out", tmp_path / "test.parquet")
    (problem,) = load_problems(str(tmp_path / "out"), "test").problems
    assert {**columns, "choices": ("4", "5"), "metadata": {"k": [1]}}.items() <= vars(problem).items()


def test_splits_are_determined_by_file_names_and_files_are_sorted(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "data"
    folder.mkdir(parents=True)
    names = {
        "train-00001-of-00002.parquet": "b",
        "train-00000-of-00002-6b81bd7f7e2065e6.parquet": "a",
        "val.parquet": "v",
        "test-0.parquet": "t",
    }
    for name, answer in names.items():
        pq.write_table(_table({"answer": answer}), folder / name)
    pq.write_table(_table({"answer": "w"}), tmp_path / "validation.parquet")
    pq.write_table(_table({"answer": "c"}), tmp_path / "odd name=1.parquet")
    items = [tmp_path / "hub", tmp_path / "validation.parquet", f"train={tmp_path / 'odd name=1.parquet'}"]
    manifest = _prepare_tables(tmp_path / "out", *items)
    assert list(manifest["counts"].items()) == [("train", 3), ("validation", 2), ("test", 1)]
    read = {
        split: [problem.answer for problem in load_problems(str(tmp_path / "out"), split).problems]
        for split in manifest["counts"]
    }
    assert read == {"train": ["a", "b", "c"], "validation": ["v", "w"], "test": ["t"]}


def test_preparing_a_prepared_dataset_changes_nothing(tmp_path: Path) -> None:
    _raw_problem(tmp_path / "raw", 1)
    _raw_problem(tmp_path / "raw", 2, choices=["1", "2:3", "3"])
    first = prepare(tmp_path / "raw", tmp_path / "first")
    assert _prepare_tables(tmp_path / "again", tmp_path / "first")["sha256"] == first["sha256"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"images": []}, "missing picture"),
        ({"images": None}, "missing picture"),
        (
            {"images": [{"bytes": None, "path": "{here}/good.png"}]},
            "no bytes of the picture (docs/own_data.md)",
        ),
        ({"images": [{"bytes": b"", "path": "{here}/good.png"}]}, "zero-size picture"),
        (_table_row(_encoded(size=(400, 300))[:-40]), "broken picture"),
        (_table_row(_png_with_header_size(9_000, 9_000)), "picture over 64000000 pixels"),
        (_table_row(b"<svg/>"), "picture is not PNG, JPEG, WebP, GIF, BMP or TIFF"),
        ({"problem": "Find x."}, "number of <image> differs from number of pictures"),
        ({"problem": None}, "'problem' is null"),
        ({"problem": "<image> "}, "empty question"),
        ({"answer": ""}, "empty answer"),
        ({}, "duplicate id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_invalid_table_row_is_a_counted_rejection(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    (tmp_path / "good.png").write_bytes(_encoded())
    for picture in row.get("images") or []:
        picture["path"] = (picture["path"] or "").format(here=tmp_path)
    pq.write_table(_table({}, {"answer": "6"}), tmp_path / "train-0.parquet")
    pq.write_table(_table({"answer": "7"}, row), tmp_path / "train-1.parquet")
    manifest = _prepare_tables(tmp_path / "out", tmp_path / "train-0.parquet", tmp_path / "train-1.parquet")
    assert manifest["counts"] == {"train": 3}
    (rejected,) = manifest["rejected"]
    assert (rejected["split"], rejected["id"], rejected["reason"]) == ("train", "train row 3", reason)


def test_rejected_table_row_keeps_its_id(tmp_path: Path) -> None:
    pq.write_table(_table({"id": "a"}, {"id": "b", "answer": " "}), tmp_path / "train.parquet")
    manifest = _prepare_tables(tmp_path / "out", tmp_path / "train.parquet")
    assert manifest["rejected"] == [
        {"split": "train", "id": "b", "reason": "empty answer", "detail": "<image>Find x."}
    ]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The content of a fake Hub: splits by data set id."""
    stored: dict[str, Any] = {}

    def load(name: str) -> Any:
        if name not in stored:
            raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist on the Hub")
        return stored[name]

    monkeypatch.setattr(datasets, "load_dataset", load)
    return stored


def _hub_split(*rows: Mapping[str, Any]) -> datasets.Dataset:
    """Has the types of `hiyouga/geometry3k`: reading a row the usual way decodes its pictures."""
    split = datasets.Dataset.from_list([{**_table_row(), **row} for row in rows])
    return split.cast_column("images", datasets.Sequence(datasets.Image()))


def test_hub_splits_keep_the_bytes_of_pictures(tmp_path: Path, hub: dict[str, Any]) -> None:
    jpeg = _encoded("JPEG")
    hub["someone/geometry"] = datasets.DatasetDict(
        {
            "test": _hub_split({"answer": "t"}),
            "val": _hub_split({"answer": "v"}),
            "train": _hub_split(_table_row(jpeg, "a.jpg"), {"answer": " "}),
        }
    )
    assert main(["geometry3k", "--hub", "someone/geometry", "--out", str(tmp_path)]) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert list(manifest["counts"].items()) == [("train", 1), ("validation", 1), ("test", 1)]
    assert manifest["settings"] == {"dataset": "geometry3k", "layout": "hub", "hub": "someone/geometry"}
    assert [row["id"] for row in manifest["rejected"]] == ["train row 1"]
    assert _load(tmp_path).problems[0].images == (jpeg,)


def _one_line_error(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["geometry3k", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_structural_faults_of_the_hub(
    tmp_path: Path, hub: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    hub["a/dev"] = datasets.DatasetDict({"dev": _hub_split({})})
    hub["a/bare"] = datasets.DatasetDict({"train": _hub_split({}).remove_columns("answer")})
    hub["a/empty"] = datasets.DatasetDict({"train": _hub_split({"answer": " "})})
    capsys.readouterr()  # drop the progress bars of `datasets`
    expected = {
        "a/none": "doesn't exist on the Hub",
        "a/dev": "split 'dev' is none of train, val, validation, test",
        "a/bare": "column 'answer' is missing",
        "a/empty": "no usable row",
    }
    for name, message in expected.items():
        assert message in _one_line_error(capsys, "--hub", name, "--out", tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_structural_faults_of_parquet_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "train.parquet").write_bytes(b"PAR1 damaged")
    pq.write_table(_table({}), tmp_path / "geometry.parquet")
    pq.write_table(_table({}).drop_columns("images"), tmp_path / "val.parquet")
    pq.write_table(_table({"answer": " "}), tmp_path / "test.parquet")
    expected = {
        "none.parquet": "none.parquet: no such file",
        "empty": "no parquet file in it",
        "train.parquet": "train.parquet: not a parquet file",
        "geometry.parquet": f"write SPLIT=FILE, such as train={tmp_path}/geometry.parquet",
        "val.parquet": "column 'images' is missing",
        "test.parquet": "no usable row",
    }
    for name, message in expected.items():
        assert message in _one_line_error(capsys, "--parquet", tmp_path / name, "--out", tmp_path / "out")
    for item, message in {"dev=a.parquet": "'dev' is none of", "train=a.parquet": "no such file"}.items():
        assert message in _one_line_error(capsys, "--parquet", item, "--out", tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("sources", [[], ["--raw", "a", "--hub", "b/c"], ["--hub", "b/c", "--parquet", "d"]])
def test_exactly_one_source_is_required(sources: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["geometry3k", *sources, "--out", "out"])
    assert stop.value.code == 2
    assert "--raw" in capsys.readouterr().err


def test_a_file_damaged_in_the_middle_is_a_user_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**_table_row(bytes(2_000)), "answer": str(number)} for number in range(200)]
    pq.write_table(_table(*rows), tmp_path / "train.parquet", use_dictionary=False, compression="none")
    data = bytearray((tmp_path / "train.parquet").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4_000] = b"\xff" * 4_000  # the length of a picture becomes -1
    (tmp_path / "train.parquet").write_bytes(data)
    error = _one_line_error(capsys, "--parquet", tmp_path / "train.parquet", "--out", tmp_path / "out")
    assert "train.parquet: cannot be read" in error
