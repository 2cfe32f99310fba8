"""Benchmarks import nothing of the tests; tests and benchmark scripts import only the benchmarks' library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _imports(folder: str, package: str) -> set[tuple[str, str]]:
    return {
        (str(path.relative_to(ROOT)), module)
        for path in (ROOT / folder).rglob("*.py")
        for module in _imported(path)
        if module == package or module.startswith(f"{package}.")
    }


def test_benchmarks_import_no_tests() -> None:
    assert not _imports("benchmarks", "tests")


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_no_benchmark_script_is_imported(folder: str) -> None:
    imports = _imports(folder, "benchmarks")
    assert imports
    assert [entry for entry in imports if not entry[1].startswith("benchmarks.lib.")] == []
