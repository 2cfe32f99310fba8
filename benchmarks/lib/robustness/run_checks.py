"""What a run folder tells of losses: torn files, differences from another run, trajectories gone astray."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlm_uec.telemetry.writers import read_jsonl

# The clock's, and the allocator's high-water mark.
MEASURED = ("time/", "tokens_per_second", "memory/", "mfu")


def torn(run_dir: Path) -> list[str]:
    """Faults of the checkpoint that `latest` names, and of metrics.jsonl."""
    return torn_checkpoint(run_dir / "checkpoints") + torn_metrics(run_dir / "metrics.jsonl")


def torn_checkpoint(root: Path) -> list[str]:
    """A `latest` that names nothing, or a checkpoint that is not what its manifest says."""
    pointer = root / "latest"
    if not pointer.exists():
        return []
    name = pointer.read_text(encoding="utf-8").strip()
    if not name or not (root / name).is_dir():
        return [f"latest names {name!r}, which is not there"]
    return [f"{name}/{fault}" for fault in manifest_faults(root / name)]


def manifest_faults(checkpoint: Path) -> list[str]:
    """Files that are not as manifest.json has them: {"files": {path: {"bytes": …, "sha256": …}}}."""
    manifest = checkpoint / "manifest.json"
    try:
        listed = dict(json.loads(manifest.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"manifest.json: {error!r}"]
    files = [path for path in checkpoint.rglob("*") if path.is_file() and path != manifest]
    there = {path.relative_to(checkpoint).as_posix(): _fingerprint(path.read_bytes()) for path in files}
    return [name for name in sorted({*there, *listed}) if there.get(name) != listed.get(name)]


def _fingerprint(content: bytes) -> dict[str, int | str]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def torn_metrics(path: Path) -> list[str]:
    """Lines of metrics.jsonl that are not whole, and steps other than 1, 2, 3, …"""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    steps, faults = [], []
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        try:
            steps.append(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            faults.append(f"{path.name}, line {number}: torn")
    if text and not text.endswith("\n") and not faults:
        faults.append(f"{path.name}: the last line has no end")
    if steps != list(range(1, len(steps) + 1)):
        faults.append(f"{path.name}: steps {steps}")
    return faults


def lost(rows: Sequence[Mapping[str, float]]) -> float:
    """Trajectories retained - trained on - still waiting, of a run's metrics; negative: trained on twice."""

    def total(*names: str) -> float:
        return sum(row.get(name, 0) for row in rows for name in names)

    retained = total("uec/retained_regular", "uec/retained_exploration")
    waiting = rows[-1]["uec/pending"] if rows else 0
    return retained - total("update/trajectories", "update/skipped_trajectories") - waiting


def differences(whole: Path, run: Path) -> list[str]:
    """Where the unmeasured metrics, the samples and the exported weights of two runs are not equal."""
    rows, others = (read_jsonl(folder / "metrics.jsonl") for folder in (whole, run))
    steps, found = [row["step"] for row in rows], [row["step"] for row in others]
    faults = [] if steps == found else [f"metrics.jsonl: steps {found}, not {steps}"]
    for row, other in zip(rows, others, strict=False):
        names = [name for name in sorted({*row, *other}) if not name.startswith(MEASURED)]
        faults += [f"step {row['step']}: {name}" for name in names if row.get(name) != other.get(name)]
    one, two = _files(whole), _files(run)
    return faults + [name for name in sorted({*one, *two}) if one.get(name) != two.get(name)]


def _files(run_dir: Path) -> dict[str, bytes]:
    patterns = ("samples/*.jsonl", "export/*.safetensors")
    paths = [path for pattern in patterns for path in run_dir.glob(pattern)]
    return {path.relative_to(run_dir).as_posix(): path.read_bytes() for path in paths}
