from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.__main__ import main
from data_prep.mathvista import UNANSWERED_COUNTER, build_query, prepare
from vlm_uec.data.dataset import load_problems
from vlm_uec.data.validation import InvalidRow
from vlm_uec.errors import UserError
from vlm_uec.rewards import lists_choices
from vlm_uec.types import Problem

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "mathvista"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="shared MathVista is not available")

HINT_LETTER = (
    "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."
)
HINT_INTEGER = (
    "Hint: Please answer the question requiring an integer answer and provide the final value, "
    "e.g., 1, 2, 3, at the end."
)


def _picture(kind: str = "JPEG", shade: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 10, 10)).save(buffer, kind)
    return buffer.getvalue()


def _record(number: str = "1", **changes: Any) -> dict[str, Any]:
    return {
        "question": "How many?",
        "image": f"images/{number}.jpg",
        "choices": None,
        "unit": None,
        "precision": None,
        "answer": "4",
        "question_type": "free_form",
        "answer_type": "integer",
        "pid": number,
        "metadata": {"split": "testmini", "img_width": 40, "skills": ["arithmetic reasoning"]},
        **changes,
    }


def _choice(number: str = "1", **changes: Any) -> dict[str, Any]:
    kind = {"question_type": "multi_choice", "answer_type": "text"}
    return _record(number, **{"choices": ["135°", "140°"], "answer": "140°", **kind, **changes})


def _raw(raw: Path, *records: Any, pictures: Mapping[str, bytes] | None = None) -> Path:
    """A directory of records and of `pictures`, by default one for each record."""
    default = {record["image"]: _picture() for record in records if isinstance(record, dict)}
    for name, data in (default if pictures is None else pictures).items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(data)
    raw.mkdir(exist_ok=True)
    table = {str(number): record for number, record in enumerate(records, 1)}
    (raw / "testmini.json").write_text(json.dumps(table), encoding="utf-8")
    return raw


def _problems(out: Path) -> list[Problem]:
    return load_problems(str(out), "test").problems


def test_record_becomes_a_problem(tmp_path: Path) -> None:
    manifest = prepare(_raw(tmp_path / "raw", _choice("7", unit="degrees")), tmp_path / "out")
    (problem,) = _problems(tmp_path / "out")
    assert problem == Problem(
        id="mathvista-7",
        question=f"<image>{HINT_LETTER}\nQuestion: How many? (Unit: degrees)\nChoices:\n(A) 135°\n(B) 140°",
        answer="140°",
        images=(_picture(),),
        choices=("135°", "140°"),
        question_type="multi_choice",
        answer_type="text",
        source="mathvista",
        metadata={
            "split": "testmini",
            "img_width": 40,
            "skills": ["arithmetic reasoning"],
            "unit": "degrees",
            "pid": "7",
            "picture": "images/7.jpg",
        },
    )
    assert manifest["settings"] == {"dataset": "mathvista", "source_split": "testmini", "layout": "raw"}


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (("multi_choice", "text", None), HINT_LETTER),
        (("free_form", "integer", None), HINT_INTEGER),
        (("free_form", "integer", 1), HINT_INTEGER),
        (
            ("free_form", "float", 1),
            "Hint: Please answer the question requiring a floating-point number with one decimal place and "
            "provide the final value, e.g., 1.2, 1.3, 1.4, at the end.",
        ),
        (
            ("free_form", "float", 2),
            "Hint: Please answer the question requiring a floating-point number with two decimal places and "
            "provide the final value, e.g., 1.23, 1.34, 1.45, at the end.",
        ),
        (
            ("free_form", "list", None),
            "Hint: Please answer the question requiring a Python list as an answer and provide the final "
            "list, e.g., [1, 2, 3], [1.2, 1.3, 1.4], at the end.",
        ),
    ],
)
def test_hint_depends_on_the_kind_of_answer(kind: tuple[str, str, int | None], hint: str) -> None:
    assert build_query("Q?", (), None, *kind) == f"{hint}\nQuestion: Q?"


@pytest.mark.parametrize(
    "kind",
    [
        ("free_form", "text", None),
        ("multi_choice", "integer", None),
        ("free_form", "float", None),
        ("free_form", "float", 3),
    ],
)
def test_kind_without_an_official_wording_is_invalid(kind: tuple[str, str, int | None]) -> None:
    with pytest.raises(InvalidRow, match="no official wording"):
        build_query("Q?", (), None, *kind)


def test_picture_is_searched_by_path_then_stem_then_in_other_folders(tmp_path: Path) -> None:
    pictures = {
        "images/1.jpg": _picture(shade=1),
        "images/1.png": _picture(shade=2),
        "images/2.png": _picture("PNG"),
        "images/3.jpeg": _picture(shade=3),
        "images_more/3.jpg": _picture(shade=4),
        "images_more/4.png": _picture("PNG", shade=5),
        "pictures/5.jpg": _picture(shade=6),
    }
    records = [_record(str(number)) for number in range(1, 6)]
    manifest = prepare(_raw(tmp_path / "raw", *records, pictures=pictures), tmp_path / "out")
    used = {problem.metadata["pid"]: problem.metadata["picture"] for problem in _problems(tmp_path / "out")}
    assert used == {"1": "images/1.jpg", "2": "images/2.png", "3": "images/3.jpeg", "4": "images_more/4.png"}
    assert [problem.images[0] for problem in _problems(tmp_path / "out")] == [
        pictures[name] for name in used.values()
    ]
    assert manifest["counters"] == {"pictures from images": 3, "pictures from images_more": 1}
    assert manifest["rejected_counts"] == {"test": {"missing picture": 1}}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (_record("2", image="images/absent.jpg"), "missing picture"),
        (_record("2", image="nul\0.jpg"), "missing picture"),
        (_record("2", image="x" * 5_000), "missing picture"),
        (_record("2", image=""), "missing picture"),
        (_record("2", image="../secret.jpg"), "picture path leaves the directory"),
        (_record("2", image="images/../../secret.jpg"), "picture path leaves the directory"),
        (_record("2", image="/etc/hostname"), "picture path leaves the directory"),
        (_record("2", image="images/link.jpg"), "picture path leaves the directory"),
        (_record("2", image="images/linked.jpeg"), "picture path leaves the directory"),
        (_record("2", image="images/broken.jpg"), "broken picture"),
        (_record("2", image=None), "wrong type"),
        (_record("2", question="What is in <image>?"), "question contains <image>"),
        (_choice("2", choices=["<image>", "140°"]), "question contains <image>"),
        (_record("2", question=" "), "empty question"),
        (_record("2", question=None), "wrong type"),
        (_record("2", answer=""), "empty answer"),
        (_choice("2", answer=""), "empty answer"),
        (_record("2", answer=4), "wrong type"),
        (_choice("2", answer="B"), "answer is none of the choices"),
        (_choice("2", choices=None), "answer is none of the choices"),
        (_choice("2", choices="135°"), "wrong type"),
        (_choice("2", choices=["140°"] * 27), "more than 26 choices"),
        (_record("2", unit=3), "wrong type"),
        (_record("2", precision="1"), "'precision' is not a whole number from 0 to 15"),
        (_record("2", question_type="essay"), "no official wording for this kind of question"),
        (_record("2", answer_type=None), "wrong type"),
        (_record("2", pid=None), "wrong type"),
        (_record("2", pid=True), "wrong type"),
        (_record("2", metadata=[1]), "wrong type"),
        (_record("2", metadata={"deep": [["a"]]}), "wrong type"),
        (_record("2", metadata={"long": "x" * 20_001}), "text over 20000 characters"),
        (_record("2", question="x" * 20_001), "text over 20000 characters"),
        (_record("2", question="lone \ud800"), "text is not valid Unicode"),
        (_record("1"), "duplicate id"),
        ("no object", "wrong type"),
        (None, "wrong type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_record_is_a_counted_rejection(tmp_path: Path, record: Any, reason: str) -> None:
    raw = _raw(tmp_path / "raw", _record("1"), record, _record("3"), pictures={})
    (tmp_path / "secret.jpg").write_bytes(_picture())
    (raw / "images").mkdir()
    for pid in (1, 2, 3):
        (raw / "images" / f"{pid}.jpg").write_bytes(_picture(shade=pid))
    (raw / "images" / "broken.jpg").write_bytes(_picture()[:-200])
    for link in ("link.jpg", "linked.jpg"):
        (raw / "images" / link).symlink_to(tmp_path / "secret.jpg")
    manifest = prepare(raw, tmp_path / "out")
    assert manifest["rejected_counts"] == {"test": {reason: 1}}
    assert [problem.id for problem in _problems(tmp_path / "out")] == ["mathvista-1", "mathvista-3"]


def test_rejection_has_the_pid(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "raw", _record("1"), _record("22", answer=" "), _record("23", pid=[23]))
    rejected = prepare(raw, tmp_path / "out")["rejected"]
    assert [row["id"] for row in rejected] == ["mathvista-22", "test row 2"]


def test_repeated_key_is_a_counted_rejection(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "raw", _record("1"))
    record = json.dumps(_record("1"))
    (raw / "testmini.json").write_text(f'{{"1": {record}, "1": {record}}}')
    manifest = prepare(raw, tmp_path / "out")
    assert manifest["rejected_counts"] == {"test": {"duplicate id": 1}}
    assert manifest["counters"] == {"pictures from images": 1}


def test_record_without_pid_uses_its_key(tmp_path: Path) -> None:
    record = _record("9")
    del record["pid"]
    prepare(_raw(tmp_path / "raw", record), tmp_path / "out")
    assert [problem.id for problem in _problems(tmp_path / "out")] == ["mathvista-1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[1]", "not an object"),
        (" " * 200_001, "over 0 MiB"),
        ("{}", "no usable row"),
    ],
    ids=["absent", "broken", "deep", "list", "large", "empty"],
)
def test_structural_fault_of_a_raw_directory(
    tmp_path: Path,
    text: str | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("data_prep.mathvista.MAX_TABLE_BYTES", 200_000)
    if text is not None:
        (tmp_path / "testmini.json").write_text(text)
    assert main(["mathvista", "--raw", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


_FEATURES = datasets.Features(
    {
        "pid": datasets.Value("string"),
        "question": datasets.Value("string"),
        "image": datasets.Value("string"),
        "decoded_image": datasets.Image(),
        "choices": datasets.Sequence(datasets.Value("string")),
        "unit": datasets.Value("string"),
        "precision": datasets.Value("float64"),
        "answer": datasets.Value("string"),
        "question_type": datasets.Value("string"),
        "answer_type": datasets.Value("string"),
        "metadata": {
            "split": datasets.Value("string"),
            "skills": datasets.Sequence(datasets.Value("string")),
        },
        "query": datasets.Value("string"),
    }
)


def _table(*records: Mapping[str, Any], picture: bytes | None = None) -> datasets.Dataset:
    """Records in the columns and types of AI4Math/MathVista."""
    rows = [
        {
            **record,
            "decoded_image": {"bytes": _picture() if picture is None else picture, "path": None},
            "metadata": {"split": "testmini", "skills": ["a", "b"]},
            "query": "",
        }
        for record in records
    ]
    return datasets.Dataset.from_list(rows, features=_FEATURES)


def _float(pid: str) -> dict[str, Any]:
    return _record(pid, answer="1.25", answer_type="float", precision=2.0, unit="$")


@pytest.fixture
def testmini(tmp_path: Path) -> Path:
    file = tmp_path / "testmini-00000-of-00001-725687bf7a18d64b.parquet"
    _table(_choice("5"), _float("6"), _record("7", answer="")).to_parquet(str(file))
    return file


def _check_testmini(out: Path) -> None:
    first, second = _problems(out)
    assert first.question == f"<image>{HINT_LETTER}\nQuestion: How many?\nChoices:\n(A) 135°\n(B) 140°"
    assert (first.id, first.answer, first.images) == ("mathvista-5", "140°", (_picture(),))
    assert (second.answer, second.precision, second.answer_type) == ("1.25", 2, "float")
    assert second.question.endswith("\nQuestion: How many? (Unit: $)")
    picture = {"pid": "6", "unit": "$", "picture": "images/6.jpg"}
    assert second.metadata == {"split": "testmini", "skills": ["a", "b"], **picture}
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["counts"] == {"test": 2}
    assert [(row["id"], row["reason"]) for row in manifest["rejected"]] == [("mathvista-7", "empty answer")]


def test_parquet_files_of_testmini(tmp_path: Path, testmini: Path) -> None:
    assert main(["mathvista", "--parquet", str(testmini), "--out", str(tmp_path / "out")]) == 0
    _check_testmini(tmp_path / "out")


def test_unanswered_test_split_is_left_out_and_counted(
    tmp_path: Path, testmini: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unanswered = tmp_path / "test-00000-of-00002-6b81bd7f7e2065e6.parquet"
    _table(_record("1001", answer=""), _record("1002", answer="")).to_parquet(str(unanswered))
    assert main(["mathvista", "--parquet", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    _check_testmini(tmp_path / "out")
    assert f"{UNANSWERED_COUNTER}: 2" in capsys.readouterr().out
    assert main(["mathvista", "--parquet", str(unanswered), "--out", str(tmp_path / "none")]) == 2
    assert "answers are not published" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_hub_data_set_keeps_the_bytes_of_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, testmini: Path
) -> None:
    stored = datasets.DatasetDict(
        {
            "testmini": datasets.Dataset.from_parquet(str(testmini), cache_dir=str(tmp_path / "cache")),
            "test": _table(_record("1001", answer="")),
        }
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda name: stored)
    assert main(["mathvista", "--hub", "AI4Math/MathVista", "--out", str(tmp_path / "out")]) == 0
    _check_testmini(tmp_path / "out")


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (
            {"bytes": None, "path": "{here}/1.jpg"},
            "no bytes of the picture (docs/own_data.md)",
        ),
        (None, "no bytes of the picture (docs/own_data.md)"),
        ({"bytes": _picture()[:-200], "path": None}, "broken picture"),
    ],
)
def test_invalid_picture_of_a_table_is_a_counted_rejection(
    tmp_path: Path, picture: dict[str, Any] | None, reason: str
) -> None:
    (tmp_path / "1.jpg").write_bytes(_picture())
    if picture and picture["path"]:
        picture = {**picture, "path": picture["path"].format(here=tmp_path)}
    rows = [_record("1"), _record("2")]
    pictures = [{"bytes": _picture(), "path": None}, picture]
    table = pa.Table.from_pylist(
        [{**row, "decoded_image": data} for row, data in zip(rows, pictures, strict=True)]
    )
    pq.write_table(table, tmp_path / "data.parquet")
    item = f"testmini={tmp_path / 'data.parquet'}"
    assert main(["mathvista", "--parquet", item, "--out", str(tmp_path / "out")]) == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["rejected_counts"] == {"test": {reason: 1}}
    assert manifest["rejected"][0]["id"] == "mathvista-2"


def test_table_without_a_column_is_a_user_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table({"pid": ["1"], "question": ["Q"]}), tmp_path / "testmini.parquet")
    arguments = ["mathvista", "--parquet", str(tmp_path / "testmini.parquet"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "column 'image' is missing" in capsys.readouterr().err


def test_unreadable_directory_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = _raw(tmp_path / "raw", _record("1"))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "glob", refuse)
    with pytest.raises(UserError, match="cannot be read"):
        prepare(raw, tmp_path / "out")


@needs_shared
def test_every_shared_question_is_kept_or_rejected(tmp_path: Path) -> None:
    manifest = prepare(SHARED, tmp_path)
    assert manifest["counts"] == {"test": 126}
    assert manifest["rejected_counts"] == {"test": {"missing picture": 1000 - 126}}
    assert manifest["counters"] == {"pictures from images": 114, "pictures from images_matched": 12}
    loaded = load_problems(str(tmp_path), "test")
    assert len(loaded.problems) == 126
    assert not loaded.rejected


def _shared_wording(record: Mapping[str, Any]) -> str:
    kind = record["question_type"], record["answer_type"], record["precision"]
    return build_query(record["question"], record["choices"] or (), record["unit"], *kind)


@needs_shared
def test_wording_is_the_official_one() -> None:
    """Compared with the queries of a published result.

    These are stripped; the last choice of 237 ends in a blank.
    """
    records = json.loads((SHARED / "testmini.json").read_text(encoding="utf-8"))
    results = (SHARED / "results" / "qwen2.5-vl-7b_testmini.jsonl").read_text(encoding="utf-8")
    official = {row["pid"]: row["query"] for row in map(json.loads, results.splitlines())}
    assert len(official) == 999
    other = {pid for pid, wording in official.items() if _shared_wording(records[pid]) != wording}
    assert other == {"237"}
    assert _shared_wording(records["237"]) == official["237"] + " "


@needs_shared
def test_every_shared_multiple_choice_question_lists_lettered_choices() -> None:
    records = json.loads((SHARED / "testmini.json").read_text(encoding="utf-8"))
    chosen = [record for record in records.values() if record["question_type"] == "multi_choice"]
    assert len(chosen) == 540
    for record in chosen:
        choices = tuple(record["choices"])
        question = "<image>" + _shared_wording(record)
        assert lists_choices(Problem(record["pid"], question, record["answer"], choices=choices))
