"""JSON files are read up to a size limit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlm_uec.io.bounded_json import read_json


def test_a_small_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps({"a": [1, None, "ä"]}), encoding="utf-8")
    assert read_json(tmp_path / "a") == {"a": [1, None, "ä"]}


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1" + " " * (1 << 20), encoding="utf-8")
    with pytest.raises(ValueError, match="over 1 MiB"):
        read_json(tmp_path / "a", 1 << 20)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"nul"])
def test_invalid_json_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=r"Expecting|codec"):
        read_json(tmp_path / "a")
