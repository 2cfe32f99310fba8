"""Bad input gives one line on stderr and exit code 2, and leaves no files."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import train
from benchmarks.lib.launching import ROOT, SHORT, free_port
from tests.support.launch import BUNDLED_MODEL, execute, model_copy, synthetic_data, synthetic_run
from vlm_uec.io import disk_space
from vlm_uec.ranks.rendezvous import Rendezvous
from vlm_uec.run import components, session
from vlm_uec.telemetry.display import Display

RECIPE = "configs/tiny_cpu.yaml"


def _fails(tmp_path: Path, *arguments: str, config: str = RECIPE) -> str:
    """Runs `train.py`, which must fail; returns its line on stderr."""
    run_dir = tmp_path / "run"
    done = execute([sys.executable, "train.py", "--config", config, f"train.run_dir={run_dir}", *arguments])
    assert done.returncode == 2, done.stderr
    assert not run_dir.exists()
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_an_unknown_key(tmp_path: Path) -> None:
    line = _fails(tmp_path, "rollout.promts=8")
    assert line == "error: command line: unknown key rollout.promts; did you mean rollout.prompts?"


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("optim.lr=-1", ["optim.lr", "-1"]),
        ("rollout.n=many", ["rollout.n", "many"]),
        ("optim.minibatch=3", ["optim.minibatch 3", "rollout.prompts 16"]),
        ("steps", ["'steps'", "dotted.key=value"]),
    ],
)
def test_a_bad_value(tmp_path: Path, argument: str, parts: list[str]) -> None:
    line = _fails(tmp_path, argument)
    assert all(part in line for part in parts), line


def test_a_missing_config(tmp_path: Path) -> None:
    assert "no_such.yaml: cannot be read" in _fails(tmp_path, config="configs/no_such.yaml")


@pytest.mark.end_to_end
def test_a_missing_model(tmp_path: Path) -> None:
    line = _fails(tmp_path, f"model.path={tmp_path}/no_model", f"data.path={synthetic_data()}")
    assert line.startswith(f"error: model.path {tmp_path}/no_model: ")


@pytest.mark.parametrize("program", ["train.py", "eval/passk.py"])
def test_an_adapter_beside_the_weights(tmp_path: Path, program: str) -> None:
    """transformers would attach it in silence."""
    model = shutil.copytree(BUNDLED_MODEL, tmp_path / "model")
    (model / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": ["q_proj"]}')
    data, out = str(synthetic_data()), str(tmp_path / "out")
    arguments = {
        "train.py": ["--config", RECIPE, "--dry-run", f"model.path={model}", f"data.path={data}"],
        "eval/passk.py": ["--model", str(model), "--data", data, "--split", "test", "--out", out],
    }
    done = execute([sys.executable, program, *arguments[program]])
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith(f"error: model.path {model}: contains a LoRA adapter (adapter_config.json); give")


def _skip_distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "start_distributed", lambda rendezvous, timeout: None)
    monkeypatch.setattr(session, "rendezvous", lambda timeout: Rendezvous(None, 0, 1))
    # The default stream is bound at import, and an earlier test may have closed it.
    monkeypatch.setattr(components, "Display", partial(Display, stream=StringIO()))


@pytest.fixture
def fails_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], str]:
    """Like `_fails`, but in this process, which has already imported torch and transformers."""

    def fails(argument: str) -> str:
        run_dir = tmp_path / "run"
        paths = [f"model.path={BUNDLED_MODEL}", f"data.path={synthetic_data()}", f"train.run_dir={run_dir}"]
        monkeypatch.setattr(sys, "argv", ["train.py", "--config", str(ROOT / RECIPE), *paths, argument])
        _skip_distributed(monkeypatch)
        capsys.readouterr()
        assert train.main() == 2
        assert not run_dir.exists()
        (line,) = capsys.readouterr().err.splitlines()
        return str(line)

    return fails


def test_a_model_of_another_architecture(fails_here: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    line = fails_here(f"model.path={tmp_path}")
    assert line == f"error: model.path {tmp_path}: a llama model; this trainer supports qwen2_5_vl or qwen2"


@pytest.mark.parametrize(
    "content", ["[]", "null", "{", '{"model_type": 7}', '{"model_type": "qwen2_5_vl", "text_config": 3}']
)
def test_an_invalid_model_config(fails_here: Callable[[str], str], tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert fails_here(f"model.path={tmp_path}").startswith(f"error: model.path {tmp_path}: ")


def test_parquet_without_the_columns(fails_here: Callable[[str], str], tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["a"], "answer": ["b"]}), tmp_path / "train.parquet")
    line = fails_here(f"data.path={tmp_path}")
    assert "train.parquet: column 'images' is missing, found ['question', 'answer']" in line


def test_no_usable_row(fails_here: Callable[[str], str], tmp_path: Path) -> None:
    rows = pa.table({"images": [[], []], "problem": ["a", "b"], "answer": ["", " "]})
    pq.write_table(rows, tmp_path / "train.parquet")
    line = fails_here(f"data.path={tmp_path}")
    assert "no usable row (empty answer: 2)" in line


def test_more_ranks_than_prompts(fails_here: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "world_size", lambda: 20)
    assert "rollout.prompts 16 is below the number of ranks 20; start fewer" in fails_here("train.seed=1")


def test_a_reward_plug_in_that_raises(fails_here: Callable[[str], str], tmp_path: Path) -> None:
    """Reported before the model is loaded, with file, function and problem."""
    file = tmp_path / "mine.py"
    file.write_text("def score(response, problem):\n    return 1 / len(response)\n")
    line = fails_here(f"reward.function={file}:score")
    assert f"reward function {file}:score, problem " in line
    assert "ZeroDivisionError" in line


@pytest.mark.slow
@pytest.mark.end_to_end
def test_a_reward_plug_in_that_raises_during_a_run(tmp_path: Path) -> None:
    """On one of two ranks: both end, and the line is printed once."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import os\ncalls = []\ndef score(response, problem):\n    calls.append(response)\n"
        "    if os.environ['RANK'] == '1' and len(calls) > 20:\n        raise KeyError('boom')\n"
        "    return 0.5\n"
    )
    deepspeed = str(Path(sys.executable).parent / "deepspeed")
    settings = [f"data.path={synthetic_data()}", f"train.run_dir={tmp_path}/run", "train.eval_every=0"]
    command = [deepspeed, "--num_accelerators", "2", "--master_port", str(free_port()), "train.py"]
    done = execute([*command, "--config", RECIPE, f"reward.function={file}:score", *settings])
    assert done.returncode == 2
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]
    assert f"reward function {file}:score, problem " in line
    assert "raised KeyError: 'boom'" in line
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.end_to_end
def test_a_damaged_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reported before the model is loaded and before any file of the checkpoint is unpickled."""
    run_dir = Path(shutil.copytree(synthetic_run(), tmp_path / "run"))
    weights = next((run_dir / "checkpoints" / "step_000004" / "zero").glob("*rank_1*optim_states.pt"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    paths = [f"model.path={model_copy()}", f"data.path={synthetic_data()}", f"train.run_dir={run_dir}"]
    settings = ["--config", str(ROOT / RECIPE), *SHORT, *paths, "train.steps=5", "resume=auto"]
    monkeypatch.setattr(sys, "argv", ["train.py", *settings])
    _skip_distributed(monkeypatch)
    monkeypatch.setattr(components, "build_policy", _no_model)
    assert train.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {weights}: its content has changed; choose another checkpoint with resume=PATH"


def _no_model(*_: object) -> None:
    raise AssertionError("a model was loaded")


def test_a_run_directory_that_cannot_be_created(fails_here: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    line = fails_here(f"train.run_dir={tmp_path}/file/run")
    assert line.startswith(f"error: train.run_dir {tmp_path}/file/run: cannot be written (Not a directory)")


def test_a_full_disk(
    fails_here: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk_space.os, "fsync", full)
    line = fails_here(f"train.run_dir={tmp_path}/a/b/run")
    assert "cannot be written (No space left on device); make room or choose another" in line
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "zero_optimization.stage must be 3"),
        ('{"zero_optimization": 3}', "zero_optimization.stage must be 3"),
        ('{"zero_optimization": {"stage": 2}}', "zero_optimization.stage must be 3"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"zero_optimization": {"stage": 3}, "bf16": {}}', "bf16 is derived from the run's config"),
    ],
)
def test_an_invalid_deepspeed_config(
    fails_here: Callable[[str], str], tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "zero.json").write_text(content)
    assert message in fails_here(f"deepspeed.config={tmp_path}/zero.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"scheduler": {"type": "WarmupLR"}},
            "remove scheduler; optim.warmup_steps and optim.decay set the learning rate",
        ),
        ({"optimizer": {"type": "Adam"}}, "remove optimizer; it is AdamW"),
        ({"fp16": {"enabled": True}}, "remove fp16; model.precision is fp32 or bf16"),
        ({"train_batch_size": 64}, "remove train_batch_size; optim.minibatch"),
        ({"zero_optimization": {"stage": 3, "reduce_bucket_size": "auto"}}, 'reduce_bucket_size is "auto"'),
        ({"zero_optimization": {"stage": 3, "overlap_com": True}}, "zero_optimization.overlap_com: Extra"),
        (
            {"zero_optimization": {"stage": 3, "sub_group_size": "x"}},
            "zero_optimization.sub_group_size: Input",
        ),
    ],
)
def test_a_deepspeed_config_that_conflicts_with_the_run_config(
    fails_here: Callable[[str], str], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    """Options of other trainers' files; one of them would silently set the learning rate to 0."""
    (tmp_path / "zero.json").write_text(json.dumps({"zero_optimization": {"stage": 3}, **change}))
    assert message in fails_here(f"deepspeed.config={tmp_path}/zero.json")


def test_less_disk_space_than_a_checkpoint_takes(
    fails_here: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 bytes per trained weight and 4 per weight of the frozen tower; of 802,016 and 502,784: 5.3 MiB."""
    monkeypatch.setattr(disk_space, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    assert "0.0 MiB are free and a checkpoint takes 5.3 MiB; make room" in fails_here("train.seed=1")


def test_a_template_without_the_pictures(fails_here: Callable[[str], str]) -> None:
    line = fails_here("prompt.template=Guess the answer.")
    assert "number of image marks and pictures differ: 24" in line
    assert "fix the data or prompt.template" in line


def test_a_missing_data_set(fails_here: Callable[[str], str]) -> None:
    line = fails_here("data.path=/no/data")
    assert line.startswith("error: /no/data: no such directory")
    assert "data_prep" in line


def test_a_missing_split(fails_here: Callable[[str], str]) -> None:
    assert "no split 'practice' here, available: test, train, validation" in fails_here(
        "data.train_split=practice"
    )


def test_no_prompt_within_the_limit(fails_here: Callable[[str], str]) -> None:
    line = fails_here("data.max_prompt_tokens=3")
    assert "no usable prompt of 24 (prompt over 3 tokens: 24)" in line


def test_more_positions_than_the_model_has(fails_here: Callable[[str], str]) -> None:
    line = fails_here("rollout.max_tokens=4000")
    assert "data.max_prompt_tokens 128 + rollout.max_tokens 4000 = 4128 tokens" in line


def test_more_prompts_than_problems(fails_here: Callable[[str], str]) -> None:
    """Reported before the first rollout, not in the first step."""
    assert "rollout.prompts is 32, but there are 24 problems" in fails_here("rollout.prompts=32")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("no_such.py:reward", "no such file: no_such.py"),
        ("tests/support/plugins/mixed_reward.py:no", "no function 'no'"),
    ],
)
def test_a_missing_reward_function(fails_here: Callable[[str], str], function: str, message: str) -> None:
    assert message in fails_here(f"reward.function={function}")


def test_a_dry_run_prints_the_config_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = tmp_path / "run"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    settings = [f"train.run_dir={run_dir}", f"data.path={synthetic_data()}"]
    command = [sys.executable, "train.py", "--config", RECIPE, "--dry-run", *settings]
    done = execute(command)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"run_dir: {run_dir}" in done.stdout
    assert "# Memory per rank" in done.stdout
    assert list(tmp_path.iterdir()) == []
