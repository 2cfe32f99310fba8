"""docs/own_data.md, word for word: what it tells a new user to write is written, and to run is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT, free_port
from tests.support.launch import execute

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "own_data.md"
BLOCK = re.compile(r"^```\w*\n(?:# (mine/\S+)\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = ("python ", "OMP_NUM_THREADS=1 ")


def _blocks(folder: Path) -> list[tuple[str, str]]:
    """(file name or "", text) of every block, with the page's two folders moved into `folder`."""
    page = PAGE.read_text(encoding="utf-8").replace("runs/mine", f"{folder}/run")
    return [(name, text.replace("mine/", f"{folder}/mine/")) for name, text in BLOCK.findall(page)]


@pytest.mark.end_to_end
def test_the_page_from_data_to_a_model_that_transformers_loads(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    told: dict[str, str] = {}
    for name, text in _blocks(tmp_path):
        if name:
            (tmp_path / name).write_text(text, encoding="utf-8")
        for command in [line for line in text.splitlines() if not name and line.startswith(COMMANDS)]:
            started = command.replace("deepspeed ", f"deepspeed --master_port {free_port()} ")
            done = execute(["bash", "-c", started])
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            told[command.replace(f"{tmp_path}/", "")] = done.stdout
    assert list(told) == [
        "python mine/make_data.py",
        "python -m data_prep inspect mine/data --model assets/tiny-qwen2.5-vl",
        "python train.py --config mine/run.yaml --dry-run",
        "OMP_NUM_THREADS=1 DS_ACCELERATOR=cpu deepspeed --num_accelerators 2 train.py --config mine/run.yaml",
        "python mine/load.py",
    ]
    _, inspected, plan, log, loaded = told.values()
    assert "problems      3" in inspected
    assert (tmp_path / "mine" / "data" / "inspect.html").is_file()
    assert "3 problems, 3 per step" in plan
    assert "step 2/2" in log
    assert re.search(r"\d weights, \d+ tokens", loaded)
