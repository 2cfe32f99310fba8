from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.samples import Sample, Score, read_samples, sample_line
from eval.store import SampleStore, append
from vlm_uec.errors import UserError

IDENTITY = {"settings": {"n": 2, "seed": 1}, "model": {"fingerprint": "aa"}}


def _sample(name: str, index: int, text: str = "\\boxed{1}") -> Sample:
    return Sample(name, index, text, 3, False, {"verify": Score(True, "1", "equal to the truth", "3")})


FIRST, SECOND, THIRD = _sample("a", 0), _sample("a", 1), _sample("b", 0)


def _write(store: SampleStore, rank: int, *samples: Sample) -> Path:
    with store.appending(rank) as part:
        for sample in samples:
            append(part, sample)
    return store.out / "partial" / f"rank_{rank}.jsonl"


@given(text=st.text(), name=st.text(min_size=1))
def test_a_line_gives_back_any_sample(text: str, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Also lone surrogates and line ends of every kind, which UTF-8 or a reader of lines would trip over."""
    samples = [_sample(name, 0, text), _sample(name, 1, "\ud800\u2028\r\n\x00" + text)]
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b"".join(map(sample_line, samples)))
    assert read_samples(path) == samples


def test_what_ranks_appended_is_known_afterwards(tmp_path: Path) -> None:
    _write(SampleStore(tmp_path), 0, FIRST, THIRD)
    _write(SampleStore(tmp_path), 1, SECOND)
    assert SampleStore(tmp_path).known() == [FIRST, THIRD, SECOND]


def test_it_is_on_disk_before_the_part_is_closed(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    with store.appending(0) as part:
        append(part, FIRST)
        assert SampleStore(tmp_path).known() == [FIRST]


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_torn_line_is_left_out_and_written_over(tmp_path: Path, kept: int) -> None:
    part = _write(SampleStore(tmp_path), 0, FIRST)
    with part.open("ab") as file:
        file.write(sample_line(SECOND)[:kept])
    assert SampleStore(tmp_path).known() == [FIRST]
    _write(SampleStore(tmp_path), 0, THIRD)
    assert part.read_bytes() == sample_line(FIRST) + sample_line(THIRD)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    part = _write(SampleStore(tmp_path), 3, FIRST, SECOND)
    part.write_bytes(part.read_bytes().replace(b'"index": 1', b'"index" 1'))
    with pytest.raises(UserError, match=r"rank_3\.jsonl, line 2: no sample .* remove the line"):
        SampleStore(tmp_path).known()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", "0"), ("index", -1), ("index", True), ("problem_id", 7), ("text", None), ("truncated", 0),
        ("tokens", 1.5), ("more", 1), ("scores", {"verify": {"correct": 1}}),
        ("scores", {"verify": {"correct": True, "extracted": 5, "reason": "", "rule": ""}}),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_refused(tmp_path: Path, field: str, value: object) -> None:
    row = {**json.loads(sample_line(FIRST)), field: value}
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match="line 1: no sample"):
        read_samples(tmp_path / "s.jsonl")


@pytest.mark.parametrize("line", [b"[]", b"7", b"{}", b'{"scores": 3}', b'{"scores": {"verify": {"x": 1}}}'])
def test_a_line_that_is_no_sample_is_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "s.jsonl").write_bytes(line + b"\n")
    with pytest.raises(UserError, match="line 1: no sample"):
        read_samples(tmp_path / "s.jsonl")


def test_at_the_end_there_is_one_file_in_order(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    _write(store, 0, SECOND)
    store.finish([FIRST, SECOND, THIRD])
    assert [path.name for path in tmp_path.iterdir()] == ["samples.jsonl"]
    assert read_samples(tmp_path / "samples.jsonl") == [FIRST, SECOND, THIRD]


def test_killed_between_the_file_and_its_parts_nothing_counts_twice(tmp_path: Path) -> None:
    store = SampleStore(tmp_path)
    part = _write(store, 0, FIRST)
    left = part.read_bytes()
    store.finish([FIRST, SECOND])
    part.parent.mkdir()
    part.write_bytes(left)
    assert store.known() == [FIRST, SECOND]


def test_an_evaluation_of_ones_own_goes_on(tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "out")
    assert not store.taken
    store.check(IDENTITY)  # nothing there yet: it starts
    store.begin(IDENTITY)
    assert store.taken
    store.check(IDENTITY)


def test_two_at_a_time_do_not_share_a_folder(tmp_path: Path) -> None:
    running, late = SampleStore(tmp_path), SampleStore(tmp_path)
    running.begin(IDENTITY)
    with pytest.raises(UserError, match="an evaluation is running in it"):
        late.begin(IDENTITY)
    del running
    late.begin(IDENTITY)


def test_what_began_meanwhile_is_not_taken_over(tmp_path: Path) -> None:
    """Minutes lie between the check and the start of sampling: a model loads."""
    late = SampleStore(tmp_path)
    late.check(IDENTITY)
    SampleStore(tmp_path).begin({**IDENTITY, "model": {"fingerprint": "bb"}})
    with pytest.raises(UserError, match="model fingerprint was bb and is aa"):
        late.begin(IDENTITY)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({**IDENTITY, "settings": {"n": 4, "seed": 1}}, "settings n was 2 and is 4"),
        ({**IDENTITY, "model": {"fingerprint": "bb"}}, "model fingerprint was aa and is bb"),
        ({**IDENTITY, "settings": {"n": 2, "seed": 1, "top_p": 0.9}}, "settings top_p was None and is 0.9"),
        ({**IDENTITY, "settings": {"n": 2}}, "settings seed was 1 and is None"),
    ],
)
def test_another_is_refused_with_what_differs(tmp_path: Path, now: dict[str, object], told: str) -> None:
    store = SampleStore(tmp_path)
    store.begin(IDENTITY)
    with pytest.raises(UserError, match=told):
        store.check(now)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": 3, "model": {}}'])
def test_a_damaged_identity_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(UserError, match="cannot be read"):
        SampleStore(tmp_path).check(IDENTITY)


def test_samples_without_an_identity_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_bytes(sample_line(FIRST))
    with pytest.raises(UserError, match="cannot be read"):
        SampleStore(tmp_path).check(IDENTITY)


def test_an_identity_is_readable(tmp_path: Path) -> None:
    SampleStore(tmp_path).begin(IDENTITY)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == IDENTITY
