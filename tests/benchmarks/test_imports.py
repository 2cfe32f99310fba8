"""Benchmarks import nothing of the tests; tests import only the benchmarks' library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lib.launching import ROOT

# Scripts whose library code has not moved to benchmarks/lib yet.
SCRIPTS = {
    "benchmarks.robustness.crash",
    "benchmarks.robustness.fuzz_inputs",
    "benchmarks.speed",
    "benchmarks.speed.vllm_engines",
    "benchmarks.study.entropy_study",
    "benchmarks.study.finals",
    "benchmarks.study.interval_coverage",
    "benchmarks.study.probe",
    "benchmarks.study.tables",
}


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


def test_tests_import_only_the_library_of_the_benchmarks() -> None:
    modules = {module for _, module in _imports("tests", "benchmarks")}
    assert {module for module in modules if not module.startswith("benchmarks.lib")} <= SCRIPTS
