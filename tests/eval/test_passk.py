"""Bad input to the evaluator is one line on stderr, exit code 2, and nothing left on disk."""

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
    """The one line that the command ends with; the last of an option given twice wins."""

    def failing(*options: str) -> str:
        out = tmp_path / "out"
        paths = ["--model", str(model_copy()), "--data", str(synthetic_data()), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["eval/passk.py", *paths, *options])
        # Its default stream is that of the import, which a test before this one may have closed.
        monkeypatch.setattr(evaluation, "Display", partial(Display, stream=StringIO()))
        capsys.readouterr()
        assert passk.main() == 2
        assert not out.exists()
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        return line

    return failing


@pytest.mark.parametrize(
    ("options", "told"),
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
        (["--template", "{{ question"], "does not parse"),
        (["--reward", "no_such.py:f"], "there is no file no_such.py"),
        (["--compare", "a", "b"], "--compare stands alone, without --model"),
    ],
)
def test_one_line_says_what_is_wrong(fails: Fails, options: list[str], told: str) -> None:
    assert told in fails(*options)


def test_a_missing_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--data is missing"):
        check_arguments(parse_arguments(["--model", "m", "--out", "o"]))


def test_a_split_without_a_usable_row(fails: Fails, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    (tmp_path / "empty").mkdir()
    whole = pq.read_table(synthetic_data() / "test.parquet")
    pq.write_table(whole.slice(0, 0), tmp_path / "empty" / "test.parquet")
    assert "no usable row" in fails("--data", str(tmp_path / "empty"))


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
    """A copy of the model with one file replaced, or missing."""
    shutil.copytree(model_copy(), directory)
    (directory / name).unlink(missing_ok=True)
    if content is not None:
        (directory / name).write_bytes(content)
    return directory


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{}", "its weights cannot be read"),
        ("model.safetensors", None, "its weights cannot be read"),
        ("generation_config.json", b"{", "its generation_config.json is no JSON"),
        ("generation_config.json", b'{"eos_token_id": "abc"}', "eos_token_id abc is no token id"),
        ("chat_template.jinja", None, "its tokenizer has no chat template"),
        ("chat_template.jinja", b"{% if %}", "no tokenizer and image processor"),
    ],
)
def test_a_damaged_model(fails: Fails, tmp_path: Path, name: str, content: bytes | None, told: str) -> None:
    assert told in fails("--model", str(_damaged(tmp_path / "model", name, content)))


def test_a_comparison_of_what_is_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, told in ((["no/such", "no/other"], "no/such"), (["a", "b", "--seed", "-1"], "--seed -1")):
        monkeypatch.setattr(sys, "argv", ["eval/passk.py", "--compare", *options])
        assert passk.main() == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line


def test_a_scorers_fault_costs_no_response(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scored once all are drawn: with the plug-in mended, nothing is sampled again."""
    (tmp_path / "mine.py").write_text(
        "def reward(response, problem):\n    return 1 / (len(response) in (0, 2 + len(problem.answer) + 6))\n"
    )
    begun = _evaluation(tmp_path, monkeypatch)
    options = ["--n", "2", "--max-tokens", "4", "--reward", f"{tmp_path}/mine.py:reward"]
    monkeypatch.setattr(sys, "argv", [*sys.argv, *options])
    assert passk.main() == 2
    assert "it raised ZeroDivisionError" in capsys.readouterr().err
    assert len(begun.store.known()) == 2 * len(begun.problems)


def test_weights_without_a_vision_tower(fails: Fails, tmp_path: Path) -> None:
    model = _without_a_tower(tmp_path / "blind", in_config=False)
    line = fails("--model", str(model))
    assert "weights missing or misshapen, first model.visual." in line


def test_a_pixel_budget_that_the_models_own_contradicts(fails: Fails) -> None:
    assert "--max-pixels 100: give both" in fails("--max-pixels", "100")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "holds an evaluation; --resume goes on"),
        (["--resume", "--seed", "2"], "settings seed was 1 and is 2"),
        (["--resume", "--temperature", "0.5"], "settings temperature was 1.0 and is 0.5"),
        (["--resume", "--n", "4"], "settings n was 16 and is 4"),
        (["--resume", "--template", "{{ question }}!"], "settings template was "),
        (["--resume", "--max-pixels", "6272"], "settings max_pixels was "),
        (["--resume", "--problems", "3"], "data fingerprint was "),
        (["--resume", "--split", "train"], "settings split was test and is train"),
    ],
)
def test_another_evaluations_folder_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    begun = _evaluation(tmp_path, monkeypatch)
    begun.store.begin(evaluation._identity(begun._about()))
    left = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(sys, "argv", [*sys.argv, *options])
    assert passk.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert sorted(tmp_path.rglob("*")) == left


@pytest.mark.parametrize("changed", ["model", "data"])
def test_another_model_or_other_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changed: str
) -> None:
    """Whatever the path: contents count."""
    begun = _evaluation(tmp_path, monkeypatch)
    about = begun._about()
    begun.store.begin(evaluation._identity({**about, changed: {**about[changed], "fingerprint": "00"}}))
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--resume"])
    assert passk.main() == 2
    assert f"{changed} fingerprint was 00 and is " in capsys.readouterr().err


def _evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> evaluation.Evaluation:
    """One of the synthetic test problems, before anything is sampled; its command line in `sys.argv`."""
    paths = ["--model", str(model_copy()), "--data", str(synthetic_data()), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["eval/passk.py", *paths])
    monkeypatch.setattr(evaluation, "Display", partial(Display, stream=StringIO()))
    arguments = parse_arguments(paths)
    check_arguments(arguments)
    return evaluation.Evaluation(arguments)


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "out"


def _check(out: Path, *options: str) -> None:
    check_arguments(parse_arguments(["--model", "m", "--data", "d", "--out", str(out), *options]))


def test_an_output_folder_that_cannot_be_is_told_before_any_model_loads(nowhere: Path) -> None:
    with pytest.raises(UserError, match=r"--out .* cannot be written"):
        _check(nowhere)


def test_only_the_first_rank_looks(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks that make and remove one folder at a time would find it gone."""
    looked: list[Path] = []
    monkeypatch.setattr(arguments_module, "check_writable", lambda out, _: looked.append(out))
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        _check(nowhere)
        assert looked == ([nowhere] if rank == "0" else [])


@pytest.mark.parametrize("option", ["--n", "--samples"])
def test_the_number_of_samples_has_a_name_that_the_launcher_leaves_alone(tmp_path: Path, option: str) -> None:
    with pytest.raises(UserError, match="--k 4: must be from 1 to the 2 samples"):
        _check(tmp_path / "out", option, "2", "--k", "4")


@pytest.mark.parametrize(
    ("n", "ks"), [(1, [1]), (8, [1, 4, 8]), (16, [1, 4, 16]), (300, [1, 4, 16, 64, 256, 300])]
)
def test_without_k_it_is_what_n_allows(tmp_path: Path, n: int, ks: list[int]) -> None:
    arguments = parse_arguments(
        ["--model", "m", "--data", "d", "--out", str(tmp_path / "out"), "--n", str(n)]
    )
    check_arguments(arguments)
    assert arguments.k == ks
