"""The wheel contains only the package vlm_uec and its type marker; the extra mathruler."""

from __future__ import annotations

import tomllib

from setuptools import find_packages

from benchmarks.lib.launching import ROOT
from vlm_uec.mathruler.install import INSTALL


def test_only_vlm_uec_is_packaged_and_it_is_typed() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = find_packages(str(ROOT), include=setuptools["packages"]["find"]["include"])
    assert "vlm_uec" in packages
    assert {package.split(".")[0] for package in packages} == {"vlm_uec"}
    assert "py.typed" in setuptools["package-data"]["vlm_uec"]
    assert (ROOT / "vlm_uec" / "py.typed").is_file()


def test_the_tests_install_what_the_extra_names() -> None:
    """mathruler's wheel names no dependencies, so the extra and requirements.txt have to."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    extra = project["optional-dependencies"]["mathruler"]
    assert [line.partition("==")[0] for line in extra[:2]] == ["mathruler", "pylatexenc"]
    assert set(extra) <= set(requirements)
    assert f"{extra[0]} {extra[1]}" in INSTALL
