from __future__ import annotations

from pathlib import Path

import pytest

from vlm_uec.hub import may_be_hub_id


@pytest.mark.parametrize("name", ["hiyouga/geometry3k", "Qwen/Qwen2.5-VL-7B-Instruct", "gpt2"])
def test_hub_ids(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert may_be_hub_id(name)


@pytest.mark.parametrize(
    "name", ["/no/data", "./data", "../data", "a/b/c", "", "data/", "data/a b", "~/data"]
)
def test_paths(name: str) -> None:
    assert not may_be_hub_id(name)


def test_a_folder_that_is_here_makes_a_path_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """data/geometry3k, forgotten to be prepared, is not looked for on the Hub."""
    monkeypatch.chdir(tmp_path)
    assert may_be_hub_id("data/geometry3k")
    (tmp_path / "data").mkdir()
    assert not may_be_hub_id("data/geometry3k")
