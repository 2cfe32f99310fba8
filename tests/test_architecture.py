"""docs/architecture.md names every module, and imports follow its layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("vlm_uec", "eval", "data_prep")

# Lowest first: a module imports from its own layer and from lower ones.
LAYERS = (
    ("types", "errors", "escape", "rng", "timers", "estimators"),
    ("cli", "io", "hub"),
    ("verifier", "mathruler", "algorithm", "ranks"),
    ("config",),
    ("data",),
    ("model",),
    ("zero", "update", "rollout"),
    ("rewards", "answers", "checkpoint"),
    ("collector",),
    ("trainer",),
    ("telemetry",),
    ("webpage",),
    ("report",),
    ("forecast",),
    ("run",),
)
# `python -m vlm_uec.telemetry.report` is the documented name of the report's command.
UPWARD = {("vlm_uec.telemetry.report", "vlm_uec.report.__main__")}


def _modules(package: str) -> dict[str, Path]:
    """Every module of the package by its dotted name; a package's `__init__` has the package's name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """Modules of the project that the file imports, also inside functions, except under TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules else node.module


def _graph() -> dict[str, set[str]]:
    modules = _modules("vlm_uec")
    return {
        name: {target for target in _imports(path, modules) if target in modules and target != name}
        for name, path in modules.items()
    }


def _layer(module: str) -> int:
    unit = module.split(".")[1]
    return next(number for number, units in enumerate(LAYERS) if unit in units)


def _listed_files() -> set[str]:
    """Files in the page's tree, which has two spaces of indentation per level and a slash after folders."""
    block = PAGE.read_text(encoding="utf-8").partition("## Modules")[2]
    folders: list[str] = []
    files = set()
    for indent, name in re.findall(r"^( *)([\w.]+/|[\w.]+\.py)(?: |$)", block, re.MULTILINE):
        depth = len(indent) // 2
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name)
        else:
            files.add("".join(folders) + name)
    return files


def test_the_page_names_every_module_and_no_other() -> None:
    existing = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }
    listed = {name for name in _listed_files() if name.startswith(PACKAGES)}
    assert existing - listed == set(), "missing from docs/architecture.md"
    assert listed - existing == set(), "listed in docs/architecture.md, but do not exist"


def test_every_unit_has_a_layer() -> None:
    units = {name.split(".")[1] for name in _graph() if "." in name}
    assert units == {unit for layer in LAYERS for unit in layer}


def test_imports_point_downwards() -> None:
    upward = {
        (name, target)
        for name, targets in _graph().items()
        for target in targets
        if "." in name and "." in target and _layer(target) > _layer(name)
    }
    assert upward == UPWARD


def test_there_is_no_import_cycle() -> None:
    graph = _graph()
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for target in graph[module]:
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_the_package_imports_no_command_benchmark_or_test() -> None:
    above = ("eval", "data_prep", "benchmarks", "tests", "examples")
    found = {
        (name, target)
        for name, path in _modules("vlm_uec").items()
        for target in _imports(path, {})
        if target.split(".")[0] in above
    }
    assert found == set()


def test_package_init_files_only_import_and_assign() -> None:
    for package in PACKAGES:
        for name, path in _modules(package).items():
            if path.name == "__init__.py":
                body = ast.parse(path.read_text(encoding="utf-8")).body
                kinds = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
                assert all(isinstance(node, kinds) for node in body), f"{name} implements something"
