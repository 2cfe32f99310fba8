"""The output directory of an evaluation. Stored responses survive a kill.

Each rank appends its responses to a file under `partial/`. When all are complete, rank 0 writes
`samples.jsonl` in order of problem and index and deletes the partial files. `evaluation.json` identifies the
evaluation.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from eval.samples import SAMPLES, Sample, complete_lines_size, read_samples, sample_line
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.bounded_json import read_json
from vlm_uec.io.disk_space import translate_write_errors
from vlm_uec.io.durable import atomic_write
from vlm_uec.io.lock import acquire_lock

IDENTITY = "evaluation.json"
PARTIAL = "partial"

Identity = Mapping[str, Any]  # JSON objects by section: settings, model, data, versions


class SampleStore:
    """The output directory `out`, on one rank."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._lock: BinaryIO | None = None  # held until this process ends

    @property
    def exists(self) -> bool:
        """Whether the directory contains an evaluation, finished or not."""
        return (self.out / IDENTITY).exists() or (self.out / SAMPLES).exists()

    def check(self, identity: Identity) -> None:
        """Raises UserError if the directory contains an evaluation with another identity."""
        if self.exists:
            _check_identity(self.out / IDENTITY, identity)

    def begin(self, identity: Identity) -> None:
        """Creates and locks the directory. Raises UserError if another evaluation uses it."""
        path = self.out / IDENTITY
        with translate_write_errors(self.out, "--out", "--resume"):
            self.out.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                atomic_write(path, [indented_json(identity)])
            self._lock = acquire_lock(
                path, f"--out {self.out}: another evaluation is using it; choose another"
            )
        self.check(identity)

    def load_samples(self) -> list[Sample]:
        """The stored responses, without duplicates; those of partial files have no scores."""
        complete = self.out / SAMPLES
        found = read_samples(complete) if complete.exists() else []
        for part in sorted((self.out / PARTIAL).glob("*.jsonl")):
            found += read_samples(part, allow_torn=True)
        return list({sample.key: sample for sample in found}.values())

    @contextmanager
    def open_part(self, rank: int) -> Iterator[BinaryIO]:
        """Opens this rank's partial file for appending, after removing an incomplete last line."""
        path = self.out / PARTIAL / f"rank_{rank}.jsonl"
        with translate_write_errors(self.out, "--out", "--resume"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab+") as file:
                file.truncate(complete_lines_size(path.read_bytes()))
                yield file

    def finish(self, samples: Sequence[Sample]) -> None:
        """Writes all samples in their final order and deletes the partial files."""
        atomic_write(self.out / SAMPLES, map(sample_line, samples))
        shutil.rmtree(self.out / PARTIAL, ignore_errors=True)


def append_sample(file: BinaryIO, sample: Sample) -> None:
    """Writes and flushes one line; a kill loses at most the line being written."""
    file.write(sample_line(sample))
    file.flush()


def indented_json(value: Mapping[str, Any]) -> bytes:
    """Indented UTF-8 JSON."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _check_identity(path: Path, identity: Identity) -> None:
    try:
        stored = read_json(path)
        pairs = [(part, name) for part, values in identity.items() for name in {**values, **stored[part]}]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(
            f"{path}: cannot be read ({escape(str(error), 120)}); choose another --out"
        ) from error
    for part, name in pairs:
        was, now = stored[part].get(name), identity[part].get(name)
        if was != now:
            difference = f"{part} {name} was {escape(str(was))} and is {escape(str(now))}"
            raise UserError(f"--resume {path.parent}: {difference}; choose another --out")
