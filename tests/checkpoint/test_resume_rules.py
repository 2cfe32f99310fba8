"""Settings on resume: those that the state depends on are fixed, other changes are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fakes import make_config
from vlm_uec.checkpoint.resume_rules import FIXED, check_resume
from vlm_uec.config import Config, dump_config
from vlm_uec.config.fields import config_keys
from vlm_uec.errors import UserError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(dump_config(make_config()), encoding="utf-8")
    return tmp_path


def test_paths_may_change_silently(checkpoint: Path) -> None:
    moved = ("resume=auto", "model.path=moved", "data.path=moved", "train.run_dir=moved")
    assert check_resume(checkpoint, make_config(*moved)) == []


def test_other_changes_are_listed(checkpoint: Path) -> None:
    changed = check_resume(checkpoint, make_config("optim.lr=1e-5", "train.steps=99"))
    assert changed == ["optim.lr 0.0003 -> 1e-05", "train.steps 60 -> 99"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm=grpo", r'algorithm="uec" and this run has "grpo".*one algorithm'),
        (
            "model.precision=bf16",
            r"model\.precision=.fp32. and this run has .bf16.*weights and optimizer states depend",
        ),
        ("model.freeze_vision=false", r"model\.freeze_vision=true.*weights and optimizer states depend"),
        ("lora.alpha=16", r"lora\.alpha=32\.0.*weights and optimizer states depend"),
        ("reward.overlong_penalty=1.0", r"reward\.overlong_penalty=0\.5.*judged"),
        ("rollout.prompts=15", r"rollout\.prompts=16.*order of problems"),
        ("train.seed=2", r"train\.seed=1.*order of problems"),
        ("data.max_pixels=9999", r"data\.max_pixels=7056.*pending responses"),
        ("prompt.template='Q: {{ question }}'", r"prompt\.template=null.*pending responses"),
        ("reward.thinking=accept", r'reward\.thinking="ignore".*judged'),
        ("reward.statements=boxed_only", r'reward\.statements="accept".*judged'),
        ("reward.format_weight=0.1", r"reward\.format_weight=0\.0.*judged"),
    ],
)
def test_changes_that_the_state_depends_on_are_rejected(
    checkpoint: Path, override: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_resume(checkpoint, make_config(override))


def test_a_mixture_is_one_setting(checkpoint: Path) -> None:
    mixture = ("data.path=null", "data.mixture={a: 1, b: 2}", "train.eval_every=0")
    with pytest.raises(UserError, match=r'mixture=null and this run has \{"a": 1'):
        check_resume(checkpoint, make_config(*mixture))


def test_every_fixed_setting_exists() -> None:
    assert set(FIXED) <= set(config_keys(Config))


def test_a_setting_missing_in_an_older_run_is_listed(checkpoint: Path) -> None:
    path = checkpoint / "config.yaml"
    text = path.read_text(encoding="utf-8").replace("  keep_best: 1\n", "")
    path.write_text(text, encoding="utf-8")
    assert check_resume(checkpoint, make_config()) == ["train.keep_best nothing -> 1"]


@pytest.mark.parametrize(
    ("line", "overrides"),
    [
        ("advantage:\n  scaled: true\n", ["advantage.scaled=false", "stabilizer.min_advantage=0.5"]),
        ("  rank: null\n", ["lora.rank=4"]),
    ],
)
def test_a_fixed_setting_missing_in_an_older_run_had_its_default(
    checkpoint: Path, line: str, overrides: list[str]
) -> None:
    path = checkpoint / "config.yaml"
    text = path.read_text(encoding="utf-8")
    assert line in text
    path.write_text(text.replace(line, ""), encoding="utf-8")
    (change,) = check_resume(checkpoint, make_config())
    key = overrides[0].partition("=")[0]
    assert change.startswith(f"{key} nothing -> ")
    with pytest.raises(UserError, match=f"was written with {key}=nothing"):
        check_resume(checkpoint, make_config(*overrides))
