"""The commands of docs/quick_start.md, run by a shell with stand-ins that only note what they are given."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT
from eval.arguments import check_comparison, parse_arguments, resolve_ks
from vlm_uec.config import load_config

PAGE = (ROOT / "docs" / "quick_start.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOTE = '#!/bin/bash\nprintf "%s\\t" "$@" >> "$SEEN"\necho >> "$SEEN"\n'


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What python and deepspeed were started with, on all of the page but the installation."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("python", "deepspeed"):
        (folder / name).write_text(NOTE)
        (folder / name).chmod(0o755)
    script = "".join(block for block in BLOCKS if "make demo" not in block and "pip install" not in block)
    seen = folder / "seen"
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "SEEN": str(seen)}
    subprocess.run(["bash", "-euc", script], env=environment, cwd=folder, check=True)
    return [line.split("\t")[:-1] for line in seen.read_text(encoding="utf-8").splitlines()]


def _of(commands: list[list[str]], script: str) -> list[list[str]]:
    return [command[command.index(script) + 1 :] for command in commands if script in command]


def test_every_training_is_one_that_the_config_allows(commands: list[list[str]]) -> None:
    started = _of(commands, "train.py")
    assert len(started) == 3 + 2 + 2
    for arguments in started:
        assert arguments[0] == "--config"
        load_config(ROOT / arguments[1], [word for word in arguments[2:] if word != "--dry-run"])


def test_a_smaller_step_comes_more_often(commands: list[list[str]]) -> None:
    """The epochs are the recipe's, of whole steps over 2,101 problems."""
    arguments = next(words for words in _of(commands, "train.py") if "--dry-run" in words)
    recipe, small = load_config(ROOT / arguments[1]), load_config(ROOT / arguments[1], arguments[2:-1])
    epochs = [config.train.steps / (2101 // config.rollout.prompts) for config in (recipe, small)]
    assert epochs == [15, 15]


def test_what_is_compared_was_evaluated_and_what_is_evaluated_was_trained(commands: list[list[str]]) -> None:
    trained = {
        load_config(ROOT / words[1], [w for w in words[2:] if "=" in w]).train.run_dir
        for words in _of(commands, "train.py")
    }
    evaluated, compared = set(), set()
    for words in _of(commands, "eval/passk.py"):
        parsed = parse_arguments(words)
        if parsed.compare:
            check_comparison(parsed)
            compared |= set(parsed.compare)
        else:
            resolve_ks(parsed.k, parsed.n)
            assert parsed.model.startswith("Qwen/") or str(Path(parsed.model).parent) in trained
            evaluated.add(parsed.out)
    assert len(evaluated) == 2 + 3 and compared == evaluated


def test_no_command_counts_on_the_shell_to_split_words() -> None:
    """As bash does and zsh does not."""
    assert [line for block in BLOCKS for line in block.splitlines() if re.search(r"\$\w", line)] == []
