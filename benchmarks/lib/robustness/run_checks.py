"""Checks of a run directory: torn files, differences from another run, and lost trajectories."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlm_uec.io.digest import file_sha256
from vlm_uec.telemetry.writers import read_jsonl

# Metrics of the clock and of the allocator's peak: they differ from run to run.
MEASURED = ("time/", "tokens_per_second", "memory/", "mfu")


def torn_files(run_dir: Path) -> list[str]:
    """Faults of the checkpoint that `latest` names, and of metrics.jsonl."""
    return torn_checkpoint(run_dir / "checkpoints") + torn_metrics(run_dir / "metrics.jsonl")


def torn_checkpoint(root: Path) -> list[str]:
    """A `latest` that names no directory, or files that differ from the checkpoint's manifest."""
    pointer = root / "latest"
    if not pointer.exists():
        return []
    name = pointer.read_text(encoding="utf-8").strip()
    if not name or not (root / name).is_dir():
        return [f"latest names {name!r}, which does not exist"]
    return [f"{name}/{fault}" for fault in manifest_faults(root / name)]


def manifest_faults(checkpoint: Path) -> list[str]:
    """Files that differ from manifest.json: {"files": {path: {"bytes": …, "sha256": …}}}."""
    manifest = checkpoint / "manifest.json"
    try:
        listed = dict(json.loads(manifest.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"manifest.json: {error!r}"]
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path != manifest]
    found = {
        path.relative_to(checkpoint).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in files
    }
    return [name for name in sorted({*found, *listed}) if found.get(name) != listed.get(name)]


def torn_metrics(path: Path) -> list[str]:
    """Incomplete lines of metrics.jsonl, and steps other than 1, 2, 3, …"""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    steps, faults = [], []
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        try:
            steps.append(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            faults.append(f"{path.name}, line {number}: torn")
    if text and not text.endswith("\n") and not faults:
        faults.append(f"{path.name}: the last line has no newline")
    if steps != list(range(1, len(steps) + 1)):
        faults.append(f"{path.name}: steps {steps}")
    return faults


def lost_trajectories(rows: Sequence[Mapping[str, float]]) -> float:
    """Retained - trained on - skipped - pending, of a run's metrics; negative: some were trained on twice."""

    def total(*names: str) -> float:
        return sum(row.get(name, 0) for row in rows for name in names)

    retained = total("uec/retained_regular", "uec/retained_exploration")
    pending = rows[-1]["uec/pending"] if rows else 0
    return retained - total("update/trajectories", "update/skipped_trajectories") - pending


def differences(reference: Path, run: Path) -> list[str]:
    """Unmeasured metrics, samples and exported weights that differ between two run directories."""
    rows, others = (read_jsonl(folder / "metrics.jsonl") for folder in (reference, run))
    expected, found = [row["step"] for row in rows], [row["step"] for row in others]
    faults = [] if expected == found else [f"metrics.jsonl: steps {found}, not {expected}"]
    for row, other in zip(rows, others, strict=False):
        names = [name for name in sorted({*row, *other}) if not name.startswith(MEASURED)]
        faults += [f"step {row['step']}: {name}" for name in names if row.get(name) != other.get(name)]
    one, two = _outputs(reference), _outputs(run)
    return faults + [name for name in sorted({*one, *two}) if one.get(name) != two.get(name)]


def _outputs(run_dir: Path) -> dict[str, bytes]:
    patterns = ("samples/*.jsonl", "export/*.safetensors")
    paths = [path for pattern in patterns for path in run_dir.glob(pattern)]
    return {path.relative_to(run_dir).as_posix(): path.read_bytes() for path in paths}
