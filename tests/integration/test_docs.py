"""Links and config keys in the documentation exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT
from vlm_uec.config import load_config

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Anchors as GitHub derives them from headings: lower case, no punctuation, hyphens for blanks."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_has_a_target(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = [
        f"{target}#{anchor}"
        for target, anchor in LINK.findall(text)
        if not (file := (page.parent / target) if target else page).exists()
        or (anchor and file.suffix == ".md" and anchor not in _anchors(file))
    ]
    assert broken == []


def test_the_translated_config_of_another_trainer_loads(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "from_other_trainers.md").read_text(encoding="utf-8")
    (config,) = [body for kind, body in FENCE.findall(page) if kind == "yaml"]
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    assert load_config(tmp_path / "config.yaml").algorithm == "grpo"


def test_every_key_in_troubleshooting_exists() -> None:
    known = set(
        re.findall(r"^\| `([\w.]+)`", (ROOT / "docs/config.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    sections = {key.split(".")[0] for key in known if "." in key}
    named = set(re.findall(r"`((?:\w+)\.(?:[a-z_0-9]+))", text))
    assert {key for key in named if key.split(".")[0] in sections} - known <= {
        "data.md",
        "vllm.log",
        "train.py",
    }
