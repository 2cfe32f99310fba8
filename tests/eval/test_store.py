from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.samples import Sample, Score, read_samples, sample_line
from eval.store import SampleStore, append_sample
from vlm_uec.errors import UserError

IDENTITY = {"settings": {"n": 2, "seed": 1}, "model": {"fingerprint": "aa"}}


def _sample(name: str, index: int, text: str = "\\boxed{1}") -> Sample:
    return Sample(name, index, text, 3, False, {"verify": Score(True, "1", "equal to the truth", "3")})


FIRST, SECOND, THIRD = _sample("a", 0), _sample("a", 1), _sample("b", 0)


def _write(store: SampleStore, rank: int, *samples: Sample) -> Path:
    with store.open_part(rank) as part:
        for sample in samples:
            append_sample(part, sample)
    return store.out / "partial" / f"rank_{rank}.jsonl"


@given(text=st.text(), name=st.text(min_size=1))
def test_any_sample_survives_a_round_trip(
    text: str, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Includes lone surrogates, which UTF-8 cannot encode, and all kinds of line ends."""
    samples = [_sample(name, 0, text), _sample(name, 1, "\ud800\u2028\r\n\x00" + text)]
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b"".join(map(sample_line, samples)))
    assert read_samples(path) == samples


def test_samples_of_all_ranks_are_loaded(tmp_path: Path) -> None:
    _write(SampleStore(tmp_path), 0, FIRST, THIRD)
    _write(SampleStore(tmp_path), 1, SECOND)
    assert SampleStore(tmp_path).load_samples() == [FIRST, THIRD, SECOND]


def test_sample_is_stored_before_the_partial_file_is_closed(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    with store.open_part(0) as part:
        append_sample(part, FIRST)
        assert SampleStore(tmp_path).load_samples() == [FIRST]


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_incomplete_last_line_is_skipped_and_overwritten(tmp_path: Path, kept: int) -> None:
    part = _write(SampleStore(tmp_path), 0, FIRST)
    with part.open("ab") as file:
        file.write(sample_line(SECOND)[:kept])
    assert SampleStore(tmp_path).load_samples() == [FIRST]
    _write(SampleStore(tmp_path), 0, THIRD)
    assert part.read_bytes() == sample_line(FIRST) + sample_line(THIRD)


def test_damaged_line_is_reported(tmp_path: Path) -> None:
    part = _write(SampleStore(tmp_path), 3, FIRST, SECOND)
    part.write_bytes(part.read_bytes().replace(b'"index": 1', b'"index" 1'))
    with pytest.raises(UserError, match=r"rank_3\.jsonl, line 2: not a sample .* remove the line"):
        SampleStore(tmp_path).load_samples()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", "0"), ("index", -1), ("index", True), ("problem_id", 7), ("text", None), ("truncated", 0),
        ("tokens", 1.5), ("more", 1), ("scores", {"verify": {"correct": 1}}),
        ("scores", {"verify": {"correct": True, "extracted": 5, "reason": "", "rule": ""}}),
    ],
)  # fmt: skip
def test_field_of_the_wrong_type_is_refused(tmp_path: Path, field: str, value: object) -> None:
    row = {**json.loads(sample_line(FIRST)), field: value}
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match="line 1: not a sample"):
        read_samples(tmp_path / "s.jsonl")


@pytest.mark.parametrize("line", [b"[]", b"7", b"{}", b'{"scores": 3}', b'{"scores": {"verify": {"x": 1}}}'])
def test_invalid_line_is_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "s.jsonl").write_bytes(line + b"\n")
    with pytest.raises(UserError, match="line 1: not a sample"):
        read_samples(tmp_path / "s.jsonl")


def test_finish_leaves_one_sorted_file(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    _write(store, 0, SECOND)
    store.finish([FIRST, SECOND, THIRD])
    assert [path.name for path in tmp_path.iterdir()] == ["samples.jsonl"]
    assert read_samples(tmp_path / "samples.jsonl") == [FIRST, SECOND, THIRD]


def test_kill_before_partial_files_are_deleted_duplicates_nothing(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    part = _write(store, 0, FIRST)
    content = part.read_bytes()
    store.finish([FIRST, SECOND])
    part.parent.mkdir()
    part.write_bytes(content)
    assert store.load_samples() == [FIRST, SECOND]


def test_evaluation_with_the_same_identity_continues(tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "out")
    assert not store.exists
    store.check(IDENTITY)  # an empty directory is accepted
    store.begin(IDENTITY)
    assert store.exists
    store.check(IDENTITY)


def test_directory_is_locked(tmp_path: Path) -> None:
    running, late = SampleStore(tmp_path), SampleStore(tmp_path)
    running.begin(IDENTITY)
    with pytest.raises(UserError, match="another evaluation is using it"):
        late.begin(IDENTITY)
    del running
    late.begin(IDENTITY)


def test_evaluation_started_between_check_and_begin_is_refused(tmp_path: Path) -> None:
    """Loading the model, between the check and the start of sampling, can take minutes."""
    late = SampleStore(tmp_path)
    late.check(IDENTITY)
    SampleStore(tmp_path).begin({**IDENTITY, "model": {"fingerprint": "bb"}})
    with pytest.raises(UserError, match="model fingerprint was bb and is aa"):
        late.begin(IDENTITY)


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({**IDENTITY, "settings": {"n": 4, "seed": 1}}, "settings n was 2 and is 4"),
        ({**IDENTITY, "model": {"fingerprint": "bb"}}, "model fingerprint was aa and is bb"),
        ({**IDENTITY, "settings": {"n": 2, "seed": 1, "top_p": 0.9}}, "settings top_p was None and is 0.9"),
        ({**IDENTITY, "settings": {"n": 2}}, "settings seed was 1 and is None"),
    ],
)
def test_other_identity_is_refused_with_the_difference(
    tmp_path: Path, identity: dict[str, object], message: str
) -> None:
    store = SampleStore(tmp_path)
    store.begin(IDENTITY)
    with pytest.raises(UserError, match=message):
        store.check(identity)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": 3, "model": {}}'])
def test_damaged_identity_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(UserError, match="cannot be read"):
        SampleStore(tmp_path).check(IDENTITY)


def test_samples_without_identity_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_bytes(sample_line(FIRST))
    with pytest.raises(UserError, match="cannot be read"):
        SampleStore(tmp_path).check(IDENTITY)


def test_identity_file_is_json(tmp_path: Path) -> None:
    SampleStore(tmp_path).begin(IDENTITY)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == IDENTITY
