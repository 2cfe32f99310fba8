"""An evaluation's folder: responses appended as they come, kept through a kill, scored and whole at the end.

Each rank appends to a file of its own under `partial/`; once all are there, rank 0 writes `samples.jsonl` in
order of problem and index, and the parts go. `evaluation.json` says what the samples are of.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from eval.samples import SAMPLES, Sample, read_samples, sample_line, whole_lines
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.bounded_json import read_json
from vlm_uec.io.disk_space import translate_write_errors
from vlm_uec.io.durable import atomic_write
from vlm_uec.io.lock import acquire_lock

IDENTITY = "evaluation.json"
PARTIAL = "partial"

Identity = Mapping[str, Any]  # settings, model, data and versions: JSON, nested one level


class SampleStore:
    """The folder `out`, as one rank sees it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._lock: BinaryIO | None = None  # held until this process ends

    @property
    def taken(self) -> bool:
        """Whether there is an evaluation here, finished or not."""
        return (self.out / IDENTITY).exists() or (self.out / SAMPLES).exists()

    def check(self, identity: Identity) -> None:
        """Raises UserError where the evaluation that is here is another."""
        if self.taken:
            _refuse_another(self.out / IDENTITY, identity)

    def begin(self, identity: Identity) -> None:
        """Makes the folder this evaluation's. Raises UserError where one runs in it, or began meanwhile."""
        path = self.out / IDENTITY
        with translate_write_errors(self.out, "--out", "--resume"):
            self.out.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                atomic_write(path, [json_bytes(identity)])
            self._lock = acquire_lock(
                path, f"--out {self.out}: an evaluation is running in it; choose another"
            )
        self.check(identity)

    def known(self) -> list[Sample]:
        """The responses that earlier runs left here, each once; those of parts have no scores."""
        whole = self.out / SAMPLES
        found = read_samples(whole) if whole.exists() else []
        for part in sorted((self.out / PARTIAL).glob("*.jsonl")):
            found += read_samples(part, torn=True)
        return list({sample.key: sample for sample in found}.values())

    @contextmanager
    def appending(self, rank: int) -> Iterator[BinaryIO]:
        """This rank's part, open at its end."""
        path = self.out / PARTIAL / f"rank_{rank}.jsonl"
        with translate_write_errors(self.out, "--out", "--resume"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab+") as file:
                file.truncate(whole_lines(path.read_bytes()))
                yield file

    def finish(self, samples: Sequence[Sample]) -> None:
        """All samples, in their final order, in the place of the parts."""
        atomic_write(self.out / SAMPLES, map(sample_line, samples))
        shutil.rmtree(self.out / PARTIAL, ignore_errors=True)


def append(file: BinaryIO, sample: Sample) -> None:
    """At once in the hands of the system: a kill takes at most the line being written."""
    file.write(sample_line(sample))
    file.flush()


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Indented, for people to read."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _refuse_another(path: Path, identity: Identity) -> None:
    try:
        known = read_json(path)
        pairs = [(part, name) for part, values in identity.items() for name in {**values, **known[part]}]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(
            f"{path}: cannot be read ({escape(str(error), 120)}); choose another --out"
        ) from error
    for part, name in pairs:
        was, now = known[part].get(name), identity[part].get(name)
        if was != now:
            told = f"{part} {name} was {escape(str(was))} and is {escape(str(now))}"
            raise UserError(f"--resume {path.parent}: {told}; choose another --out")
