"""The wheel contains only the package vlm_uec and its type marker."""

from __future__ import annotations

import tomllib

from setuptools import find_packages

from benchmarks.lib.launching import ROOT


def test_only_vlm_uec_is_packaged_and_it_is_typed() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = find_packages(str(ROOT), include=setuptools["packages"]["find"]["include"])
    assert "vlm_uec" in packages
    assert {package.split(".")[0] for package in packages} == {"vlm_uec"}
    assert "py.typed" in setuptools["package-data"]["vlm_uec"]
    assert (ROOT / "vlm_uec" / "py.typed").is_file()
