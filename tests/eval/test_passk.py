"""Invalid input to eval/passk.py gives one line on stderr, exit code 2, and leaves no files."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from eval import arguments as arguments_module
from eval import evaluation, passk
from eval.arguments import check_arguments, parse_arguments
from tests.support.launch import model_copy, synthetic_data
from vlm_uec.errors import UserError
from vlm_uec.telemetry.display import Display

Fails = Callable[..., str]


@pytest.fixture
def fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fails:
    """Runs the command and returns its error line; of a repeated option the last one is used."""

    def failing(*options: str) -> str:
        out = tmp_path / "out"
        paths = ["--model", str(model_copy()), "--data", str(synthetic_data()), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["eval/passk.py", *paths, *options])
        # The default stream was captured at import; an earlier test may have closed it.
        monkeypatch.setattr(evaluation, "Display", partial(Display, stream=StringIO()))
        capsys.readouterr()
        assert passk.main() == 2
        assert not out.exists()
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        return line

    return failing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n", "0"], "--n 0: give a whole number, from 1 to"),
        (["--n", "4", "--k", "1", "5"], "--k 5: must be from 1 to the 4 samples"),
        (["--n", "4", "--k", "0"], "--k 0: must be from 1 to the 4 samples"),
        (["--n", "4", "--temperature", "0"], "--temperature 0 is greedy: all 4 samples would be equal"),
        (["--temperature", "nan"], "--temperature nan: give 0 (greedy), or a number from 0.01"),
        (["--temperature", "1e-40"], "--temperature 1e-40: give 0 (greedy), or a number from 0.01"),
        (["--top-p", "0"], "--top-p 0: give a number above 0"),
        (["--max-tokens", "0"], "--max-tokens 0: give a whole number"),
        (["--max-prompt-tokens", "-4"], "--max-prompt-tokens -4: give a whole number"),
        (["--problems", "0"], "--problems 0: give a whole number, at least 1"),
        (["--slots", "0"], "--slots 0: give a whole number"),
        (["--seed", "-1"], "--seed -1: give a whole number, at least 0"),
        (["--min-pixels", "5000", "--max-pixels", "4000"], "--min-pixels 5000 is above --max-pixels 4000"),
        (["--split", "tset"], "no split 'tset' here, available: test, train, validation"),
        (["--data", "./no/such"], "no/such"),
        (["--model", "./no/such"], "no/such"),
        (["--max-prompt-tokens", "5"], "prompt over 5 tokens: 4"),
        (["--max-tokens", "4090"], "more than the model's max_position_embeddings 4096"),
        (["--template", "{{ question"], "does not parse"),
        (["--reward", "no_such.py:f"], "no such file: no_such.py"),
        (["--compare", "a", "b"], "--compare cannot be combined with --model"),
    ],
)
def test_invalid_option_is_one_line(fails: Fails, options: list[str], message: str) -> None:
    assert message in fails(*options)


def test_missing_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--data is missing"):
        check_arguments(parse_arguments(["--model", "m", "--out", "o"]))


def test_a_split_without_a_usable_row(fails: Fails, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    (tmp_path / "empty").mkdir()
    whole = pq.read_table(synthetic_data() / "test.parquet")
    pq.write_table(whole.slice(0, 0), tmp_path / "empty" / "test.parquet")
    assert "the split has no rows" in fails("--data", str(tmp_path / "empty"))


def _without_a_tower(directory: Path, *, in_config: bool) -> Path:
    shutil.copytree(model_copy(), directory)
    if in_config:
        config = json.loads((directory / "config.json").read_text())
        (directory / "config.json").write_text(json.dumps({**config["text_config"], "model_type": "qwen2"}))
        return directory
    weights = load_file(directory / "model.safetensors")
    text = {name: weight for name, weight in weights.items() if "visual" not in name}
    assert len(text) < len(weights)
    save_file(text, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def test_a_text_only_model(fails: Fails, tmp_path: Path) -> None:
    model = _without_a_tower(tmp_path / "text", in_config=True)
    assert "has pictures, and the model is text-only: 4" in fails("--model", str(model))


def _damaged(directory: Path, name: str, content: bytes | None) -> Path:
    """A copy of the model with one file replaced or removed."""
    shutil.copytree(model_copy(), directory)
    (directory / name).unlink(missing_ok=True)
    if content is not None:
        (directory / name).write_bytes(content)
    return directory


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{}", "its weights cannot be read"),
        ("model.safetensors", None, "its weights cannot be read"),
        ("generation_config.json", b"{", "its generation_config.json is not valid JSON"),
        ("generation_config.json", b'{"eos_token_id": "abc"}', "eos_token_id abc is not a token id"),
        ("chat_template.jinja", None, "its tokenizer has no chat template"),
        ("chat_template.jinja", b"{% if %}", "its chat template fails on a question"),
    ],
)
def test_a_damaged_model(
    fails: Fails, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    assert message in fails("--model", str(_damaged(tmp_path / "model", name, content)))


def test_comparison_of_invalid_directories_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, message in ((["no/such", "no/other"], "no/such"), (["a", "b", "--seed", "-1"], "--seed -1")):
        monkeypatch.setattr(sys, "argv", ["eval/passk.py", "--compare", *options])
        assert passk.main() == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_scoring_error_loses_no_response(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scoring runs after sampling, so a repaired plug-in needs no new samples."""
    (tmp_path / "mine.py").write_text(
        "def reward(response, problem):\n    return 1 / (len(response) in (0, 2 + len(problem.answer) + 6))\n"
    )
    evaluation_run = _evaluation(tmp_path, monkeypatch)
    options = ["--n", "2", "--max-tokens", "4", "--reward", f"{tmp_path}/mine.py:reward"]
    monkeypatch.setattr(sys, "argv", [*sys.argv, *options])
    assert passk.main() == 2
    assert "raised ZeroDivisionError" in capsys.readouterr().err
    assert len(evaluation_run.store.load_samples()) == 2 * len(evaluation_run.problems)


def test_mathruler_can_be_added_to_a_finished_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scoring is repeated on resume, so no response is sampled again."""
    pytest.importorskip("mathruler")
    run = _evaluation(tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--n", "1", "--max-tokens", "4"])
    assert passk.main() == 0
    texts = [sample.text for sample in run.store.load_samples()]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--resume", "--mathruler"])
    assert passk.main() == 0
    samples = run.store.load_samples()
    assert [sample.text for sample in samples] == texts
    assert all(list(sample.scores) == ["verify", "mathruler"] for sample in samples)


def test_strictness_can_change_when_a_finished_evaluation_is_scored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _evaluation(tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--n", "1", "--max-tokens", "4"])
    assert passk.main() == 0
    texts = [sample.text for sample in run.store.load_samples()]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--resume", "--statements", "boxed_only"])
    assert passk.main() == 0
    assert [sample.text for sample in run.store.load_samples()] == texts
    summary = json.loads((run.store.out / "summary.json").read_text(encoding="utf-8"))
    assert summary["settings"]["statements"] == "boxed_only"


def test_weights_without_a_vision_tower(fails: Fails, tmp_path: Path) -> None:
    model = _without_a_tower(tmp_path / "blind", in_config=False)
    line = fails("--model", str(model))
    assert "weights missing or of wrong shape, first model.visual." in line


def test_pixel_budget_that_conflicts_with_the_models(fails: Fails) -> None:
    assert "--max-pixels 100: give both" in fails("--max-pixels", "100")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "contains an evaluation; continue with --resume"),
        (["--resume", "--seed", "2"], "settings seed was 1 and is 2"),
        (["--resume", "--temperature", "0.5"], "settings temperature was 1.0 and is 0.5"),
        (["--resume", "--n", "4"], "settings n was 16 and is 4"),
        (["--resume", "--template", "{{ question }}!"], "settings template was "),
        (["--resume", "--max-pixels", "6272"], "settings max_pixels was "),
        (["--resume", "--problems", "3"], "data fingerprint was "),
        (["--resume", "--split", "train"], "settings split was test and is train"),
    ],
)
def test_directory_of_another_evaluation_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    evaluation_run = _evaluation(tmp_path, monkeypatch)
    evaluation_run.store.begin(evaluation._identity(evaluation_run._metadata()))
    left = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(sys, "argv", [*sys.argv, *options])
    assert passk.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(tmp_path.rglob("*")) == left


@pytest.mark.parametrize("changed", ["model", "data"])
def test_another_model_or_other_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changed: str
) -> None:
    """Contents are compared, not paths."""
    evaluation_run = _evaluation(tmp_path, monkeypatch)
    metadata = evaluation_run._metadata()
    evaluation_run.store.begin(
        evaluation._identity({**metadata, changed: {**metadata[changed], "fingerprint": "00"}})
    )
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--resume"])
    assert passk.main() == 2
    assert f"{changed} fingerprint was 00 and is " in capsys.readouterr().err


def _evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> evaluation.Evaluation:
    """An evaluation of the synthetic test problems before sampling; sets `sys.argv` to its command line."""
    paths = ["--model", str(model_copy()), "--data", str(synthetic_data()), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["eval/passk.py", *paths])
    monkeypatch.setattr(evaluation, "Display", partial(Display, stream=StringIO()))
    arguments = parse_arguments(paths)
    check_arguments(arguments)
    return evaluation.Evaluation(arguments)


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "out"


def _check(out: Path, *options: str) -> None:
    check_arguments(parse_arguments(["--model", "m", "--data", "d", "--out", str(out), *options]))


def test_unwritable_output_is_refused_before_the_model_loads(unwritable: Path) -> None:
    with pytest.raises(UserError, match=r"--out .* cannot be written"):
        _check(unwritable)


def test_only_rank_0_checks_the_output_directory(unwritable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent checks would delete each other's directory."""
    checked: list[Path] = []
    monkeypatch.setattr(arguments_module, "check_writable", lambda out, _: checked.append(out))
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        _check(unwritable)
        assert checked == ([unwritable] if rank == "0" else [])


@pytest.mark.parametrize("option", ["--n", "--samples"])
def test_samples_is_an_alias_of_n(tmp_path: Path, option: str) -> None:
    with pytest.raises(UserError, match="--k 4: must be from 1 to the 2 samples"):
        _check(tmp_path / "out", option, "2", "--k", "4")


@pytest.mark.parametrize(
    ("n", "ks"), [(1, [1]), (8, [1, 4, 8]), (16, [1, 4, 16]), (300, [1, 4, 16, 64, 256, 300])]
)
def test_default_k_depends_on_n(tmp_path: Path, n: int, ks: list[int]) -> None:
    arguments = parse_arguments(
        ["--model", "m", "--data", "d", "--out", str(tmp_path / "out"), "--n", str(n)]
    )
    check_arguments(arguments)
    assert arguments.k == ks
