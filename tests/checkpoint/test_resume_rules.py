"""What a run may change when it goes on: what its state follows from must stay, the rest is told."""

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


def test_the_same_settings_go_on_without_a_word(checkpoint: Path) -> None:
    elsewhere = ("resume=auto", "model.path=moved", "data.path=moved", "train.run_dir=moved")
    assert check_resume(checkpoint, make_config(*elsewhere)) == []


def test_other_settings_are_told(checkpoint: Path) -> None:
    changed = check_resume(checkpoint, make_config("optim.lr=1e-5", "train.steps=99"))
    assert changed == ["optim.lr 0.0003 -> 1e-05", "train.steps 80 -> 99"]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("algorithm=grpo", r'algorithm="uec" and this run has "grpo".*one algorithm'),
        ("model.precision=bf16", r"model\.precision=.fp32. and this run has .bf16.*laid out"),
        ("model.freeze_vision=false", r"model\.freeze_vision=true.*laid out"),
        ("rollout.prompts=15", r"rollout\.prompts=16.*order of the problems"),
        ("train.seed=2", r"train\.seed=1.*order of the problems"),
        ("data.max_pixels=9999", r"data\.max_pixels=7056.*waiting responses"),
        ("prompt.template='Q: {{ question }}'", r"prompt\.template=null.*waiting responses"),
        ("reward.format_weight=0.1", r"reward\.format_weight=0\.0.*judged"),
    ],
)
def test_what_the_state_follows_from_is_refused(checkpoint: Path, override: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_resume(checkpoint, make_config(override))


def test_a_mixture_is_one_setting(checkpoint: Path) -> None:
    mixture = ("data.path=null", "data.mixture={a: 1, b: 2}", "train.eval_every=0")
    with pytest.raises(UserError, match=r'mixture=null and this run has \{"a": 1'):
        check_resume(checkpoint, make_config(*mixture))


def test_every_fixed_setting_is_one_of_the_configs() -> None:
    assert set(FIXED) <= set(config_keys(Config))


def test_a_setting_that_an_older_run_did_not_know_is_told(checkpoint: Path) -> None:
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
def test_a_fixed_setting_that_an_older_run_did_not_know_was_its_default(
    checkpoint: Path, line: str, overrides: list[str]
) -> None:
    path = checkpoint / "config.yaml"
    text = path.read_text(encoding="utf-8")
    assert line in text
    path.write_text(text.replace(line, ""), encoding="utf-8")
    (told,) = check_resume(checkpoint, make_config())
    key = overrides[0].partition("=")[0]
    assert told.startswith(f"{key} nothing -> ")
    with pytest.raises(UserError, match=f"was written with {key}=nothing"):
        check_resume(checkpoint, make_config(*overrides))
