"""EasyR1 and veRL can read our files, and we can read directory.

Neither trainer is needed: their steps from file to chat template are reimplemented below, after EasyR1's
`verl/utils/dataset.py` and veRL's `verl/utils/dataset/rl_dataset.py`.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from data_prep.__main__ import main
from data_prep.writer import write_dataset
from vlm_uec.data.chat import DEFAULT_TEMPLATE
from vlm_uec.data.dataset import load_problems
from vlm_uec.types import Problem

INSTRUCTION = DEFAULT_TEMPLATE.removeprefix("{{ question }}")


def _picture(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((24, 18), shade).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


ONE, TWO, LOSSY = _picture(40), _picture(80), _picture(60, "JPEG")
PROBLEMS = [
    Problem("g", "<image>Find x.", "3", (ONE,), ("2", "3"), source="geometry3k"),
    Problem("m", "<image> and <image>: which?", "2.5", (TWO, LOSSY), precision=1, source="mathvista"),
    Problem("t", "What is 2 + 2?", "4"),
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path


def _collated(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {key: np.array([row[key] for row in rows], dtype=object) for key in rows[0]}


def _easyr1_rows(file: Path) -> list[dict[str, Any]]:
    rows = []
    for row in datasets.load_dataset("parquet", data_files=str(file), split="train"):
        parts = row.pop("problem").split("<image>")
        images = [image.convert("RGB") for image in row.pop("images")]
        assert len(images) == len(parts) - 1
        rows.append({**row, "text": "<image>".join(parts), "pictures": images})
        rows[-1]["ground_truth"] = rows[-1].pop("answer")
    return rows


def _verl_rows(file: Path) -> list[dict[str, Any]]:
    rows = []
    for row in datasets.load_dataset("parquet", data_files=str(file))["train"]:
        images = iter(row.pop("images") or [])
        for message in row["prompt"]:
            pieces = [piece for piece in re.split("(<image>|<video>|<audio>)", message["content"]) if piece]
            message["content"] = [next(images) if piece == "<image>" else piece for piece in pieces]
        assert not list(images), "a picture has no mark in the prompt"
        extra = row.get("extra_info") or {}
        rows.append({**row, "extra_info": extra, "index": extra.get("index", 0)})
    return rows


def _pixels(image: Image.Image) -> bytes:
    return image.convert("RGB").tobytes()


def test_easyr1_can_read_our_files(cache: Path) -> None:
    write_dataset(cache / "set", {"train": PROBLEMS}, {})
    rows = _easyr1_rows(cache / "set" / "train.parquet")
    assert [row["text"] for row in rows] == [problem.question for problem in PROBLEMS]
    assert [row["ground_truth"] for row in rows] == ["3", "2.5", "4"]
    shown = [[_pixels(image) for image in row["pictures"]] for row in rows]
    assert shown == [
        [_pixels(Image.open(io.BytesIO(image))) for image in problem.images] for problem in PROBLEMS
    ]
    assert {len(column) for column in _collated(rows).values()} == {3}


def test_verl_can_read_our_files(cache: Path) -> None:
    write_dataset(cache / "set", {"train": PROBLEMS}, {})
    rows = _verl_rows(cache / "set" / "train.parquet")
    assert all([message["role"] for message in row["prompt"]] == ["user"] for row in rows)
    first, second, third = (row["prompt"][0]["content"] for row in rows)
    assert _pixels(first[0]) == _pixels(Image.open(io.BytesIO(ONE)))
    assert first[1:] == ["Find x." + INSTRUCTION]
    assert [_pixels(second[0]), _pixels(second[2])] == [
        _pixels(Image.open(io.BytesIO(image))) for image in (TWO, LOSSY)
    ]
    assert second[1::2] == [" and ", ": which?" + INSTRUCTION]
    assert third == ["What is 2 + 2?" + INSTRUCTION]
    assert [row["reward_model"] for row in rows] == [
        {"style": "rule", "ground_truth": answer} for answer in ("3", "2.5", "4")
    ]
    assert {len(column) for column in _collated(rows).values()} == {3}


def test_verl_selects_its_geometry3k_reward_by_our_data_source(cache: Path) -> None:
    write_dataset(cache / "set", {"train": PROBLEMS}, {})
    rows = _verl_rows(cache / "set" / "train.parquet")
    # `default_compute_score` matches only this name; for others veRL needs a custom reward function.
    assert [row["data_source"] for row in rows] == ["hiyouga/geometry3k", "mathvista", ""]


def _external_dataset(directory: Path, columns: dict[str, list[Any]]) -> Path:
    """A `train.parquet` as their scripts write it: with `datasets`, which infers types except pictures."""
    directory.mkdir()
    table = datasets.Dataset.from_dict(columns)
    table = table.cast_column("images", datasets.Sequence(datasets.Image()))
    table.to_parquet(str(directory / "train.parquet"))
    return directory


def _stored(*pictures: bytes) -> list[dict[str, Any]]:
    return [{"bytes": picture, "path": f"{len(picture)}.png"} for picture in pictures]


def _prepared(directory: Path, out: Path) -> list[Problem]:
    assert main(["geometry3k", "--parquet", str(directory / "train.parquet"), "--out", str(out)]) == 0
    return load_problems(str(out), "train").problems


def test_easyr1_files_are_read(cache: Path) -> None:
    columns: dict[str, list[Any]] = {
        "images": [_stored(ONE), _stored(TWO, LOSSY)],
        "problem": ["<image>Find x.", "<image><image>Which?"],
        "answer": ["3", "2 \\sqrt { 2 }"],
    }
    directory = _external_dataset(cache / "easyr1", columns)
    loaded, prepared = load_problems(str(directory), "train").problems, _prepared(directory, cache / "out")
    for problems in (loaded, prepared):
        assert [problem.question for problem in problems] == columns["problem"]
        assert [problem.answer for problem in problems] == columns["answer"]
        assert [problem.images for problem in problems] == [(ONE,), (TWO, LOSSY)]
        assert [len(problem.id) for problem in problems] == [32, 32]
    assert [problem.id for problem in loaded] == [problem.id for problem in prepared]
    assert [(problem.source, problem.answer_type) for problem in prepared] == [
        ("geometry3k", "integer"),
        ("geometry3k", "text"),
    ]


def _verl_columns(questions: list[str], contents: list[Any], pictures: list[Any]) -> dict[str, list[Any]]:
    return {
        "data_source": ["hiyouga/geometry3k"] * len(questions),
        "prompt": [[{"role": "user", "content": content}] for content in contents],
        "images": pictures,
        "ability": ["math"] * len(questions),
        "reward_model": [{"style": "rule", "ground_truth": str(number)} for number in range(len(questions))],
        "extra_info": [
            {"split": "train", "index": number, "answer": str(number), "question": question}
            for number, question in enumerate(questions)
        ],
    }


def test_verl_files_are_read(cache: Path) -> None:
    questions = ["<image>Find x.", "<image><image>Which?", "Why?"]
    contents = [question + INSTRUCTION for question in questions]
    columns = _verl_columns(questions, contents, [_stored(ONE), _stored(TWO, LOSSY), []])
    directory = _external_dataset(cache / "verl", columns)
    problems = load_problems(str(directory), "train").problems
    assert [problem.question for problem in problems] == questions
    assert [problem.answer for problem in problems] == ["0", "1", "2"]
    assert [problem.images for problem in problems] == [(ONE,), (TWO, LOSSY), ()]
    assert {problem.source for problem in problems} == {"geometry3k"}
    prepared = _prepared(directory, cache / "out")
    assert [problem.id for problem in prepared] == [problem.id for problem in problems[:2]]
    assert [problem.answer_type for problem in prepared] == ["integer", "integer"]


def test_verl_prompt_is_used_if_its_question_has_no_picture_marks(cache: Path) -> None:
    columns = _verl_columns(["Find x."], ["<image>\nFind x.\n\nBox it."], [_stored(ONE)])
    (problem,) = load_problems(str(_external_dataset(cache / "verl", columns)), "train").problems
    assert problem.question == "<image>\nFind x.\n\nBox it."


def test_verl_last_user_message_is_used_without_extra_info(cache: Path) -> None:
    columns = _verl_columns(["?"], ["?"], [_stored(ONE)])
    del columns["extra_info"], columns["data_source"]
    columns["prompt"] = [
        [
            {"role": "system", "content": "You are <image> wise."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Find y in <image>."},
            {"role": "assistant", "content": "y ="},
        ]
    ]
    (problem,) = load_problems(str(_external_dataset(cache / "verl", columns)), "train").problems
    assert (problem.question, problem.answer, problem.source) == ("Find y in <image>.", "0", "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"prompt": [[{"role": "assistant", "content": "Hi"}]]},
            "'prompt' contains no user message with text",
        ),
        ({"prompt": ["<image>Find x."]}, "'prompt' contains no user message with text"),
        (
            {"reward_model": [{"style": "rule", "ground_truth": [5]}]},
            "'reward_model.ground_truth' is neither text nor a number",
        ),
        ({"reward_model": [{"style": "rule"}]}, "'reward_model.ground_truth' is null"),
        ({"reward_model": [{"ground_truth": " "}]}, "empty answer"),
    ],
)
def test_invalid_verl_row_is_a_counted_rejection(
    cache: Path, change: dict[str, list[Any]], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = _verl_columns(["?"], ["<image>?"], [_stored(ONE)])
    del columns["extra_info"]
    directory = _external_dataset(cache / "verl", {**columns, **change})
    assert main(["geometry3k", "--parquet", str(directory), "--out", str(cache / "out")]) == 2
    error = capsys.readouterr().err
    assert f"no usable row to write (train: {reason} 1)" in error


def test_parts_of_a_message_keep_their_order(cache: Path) -> None:
    columns = _verl_columns(["?"], ["?"], [_stored(ONE)])
    del columns["extra_info"]
    parts = [{"type": "text", "text": "See "}, {"type": "image", "text": None}, {"type": "text", "text": "."}]
    columns["prompt"] = [[{"role": "user", "content": parts}]]
    (problem,) = load_problems(str(_external_dataset(cache / "verl", columns)), "train").problems
    assert problem.question == "See <image>."


def test_our_columns_have_precedence_over_those_of_verl(tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", {"train": PROBLEMS[:2]}, {})
    assert _prepared(tmp_path / "set", tmp_path / "again") == PROBLEMS[:2]
