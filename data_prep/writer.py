"""Writes problems as `<split>.parquet` files with a manifest.

The parquet schema contains the feature types of the `datasets` library, so that
`datasets.load_dataset("parquet", data_dir=...)` returns PIL pictures. EasyR1 reads `images`, `problem` and
`answer`; veRL reads `data_source`, `prompt` and `reward_model`.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlm_uec.data.answers import READ_FROM
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.data.dataset import problem_digest
from vlm_uec.data.rows import VERL_SOURCES
from vlm_uec.data.validation import MAX_TEXT_CHARACTERS, problem_defect
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

SPLITS = ("train", "validation", "test")
MANIFEST = "manifest.json"

_ROWS_A_GROUP = 100  # the Hub's recommendation for pictures
_BYTES_A_GROUP = 32 * 2**20
# Only these are dictionary-encoded: a dictionary of pictures would be a second copy of them, in one page.
_REPEATING = ["question_type", "answer_type", "source", "data_source"]

_STRING = {"dtype": "string", "_type": "Value"}
# "Sequence", which every version of `datasets` reads; "List" needs version 4 or newer.
_FEATURES = {
    "images": {"feature": {"_type": "Image"}, "_type": "Sequence"},
    "problem": _STRING,
    "answer": _STRING,
    "id": _STRING,
    "choices": {"feature": _STRING, "_type": "Sequence"},
    "precision": {"dtype": "int32", "_type": "Value"},
    "question_type": _STRING,
    "answer_type": _STRING,
    "source": _STRING,
    "metadata": _STRING,
    "data_source": _STRING,
    # A list, because `datasets` converts a "Sequence" of dicts to a dict of lists.
    "prompt": [{"role": _STRING, "content": _STRING}],
    "reward_model": {"style": _STRING, "ground_truth": _STRING},
}
_SCHEMA = pa.schema(
    {
        "images": pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()})),
        "problem": pa.string(),
        "answer": pa.string(),
        "id": pa.string(),
        "choices": pa.list_(pa.string()),
        "precision": pa.int32(),
        "question_type": pa.string(),
        "answer_type": pa.string(),
        "source": pa.string(),
        "metadata": pa.string(),
        "data_source": pa.string(),
        "prompt": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
        "reward_model": pa.struct({"style": pa.string(), "ground_truth": pa.string()}),
    },
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)


@dataclass(frozen=True)
class Rejection:
    """A rejected row. Rows are counted by `reason`; `detail` is the value at fault."""

    id: str
    reason: str
    detail: str = ""


@dataclass
class _SplitTally:
    rows: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    answers_read: Counter[str] = field(default_factory=Counter)  # by form, if it was not plain text
    content: Any = field(default_factory=hashlib.sha256)


def write_dataset(
    out: Path,
    splits: Mapping[str, Iterable[Problem | Rejection]],
    settings: Mapping[str, Any],
    counters: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Stream each split into `out/<split>.parquet`, write `out/manifest.json` and return the manifest.

    `counters` is read after the last row, so a generator may update it while it streams. Problems that cannot
    be trained on, and repeated ids within a split, become rejections. A split without rows gets no file.
    Files get their final names only when all are complete, the manifest last; parquet files of other splits,
    from an earlier run, are removed. The manifest's hashes cover the content (see
    `vlm_uec.data.dataset.data_fingerprint`), not the bytes of the files.

    Raises:
        UserError: no split has a usable row, `out` cannot be written, or it contains files of another
        program. ValueError: a split is not named train, validation or test.
    """
    if unknown := set(splits) - set(SPLITS):
        raise ValueError(f"splits {sorted(unknown)} are none of {SPLITS}")
    _check_no_foreign_files(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        # The leading dot hides the folder from `datasets` if the process is killed.
        with tempfile.TemporaryDirectory(dir=out, prefix=".partial-") as name:
            partial = Path(name)
            tallies = {
                split: _write_split(partial / f"{split}.parquet", rows) for split, rows in splits.items()
            }
            manifest = _manifest(tallies, settings, counters or {})
            if not any(tally.rows for tally in tallies.values()):
                raise UserError(f"{out}: no usable row to write ({_rejections(manifest)}); check the input")
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
            _publish(partial, out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error}; choose another --out") from error
    return manifest


def _check_no_foreign_files(out: Path) -> None:
    found = [split for split in SPLITS if (out / f"{split}.parquet").exists()]
    if found and not (out / MANIFEST).exists():
        raise UserError(
            f"{out}: contains {found[0]}.parquet without a {MANIFEST}, so data_prep did not write it; "
            "choose another --out, or remove the file"
        )


def _rejections(manifest: Mapping[str, Any]) -> str:
    """The splits' rejected rows by reason, such as `train: empty answer 3`."""
    counted = {
        split: ", ".join(f"{reason} {number}" for reason, number in reasons.items())
        for split, reasons in manifest["rejected_counts"].items()
    }
    return "; ".join(f"{split}: {reasons or 'no rows'}" for split, reasons in counted.items()) or "no rows"


def summary(manifest: Mapping[str, Any]) -> str:
    """The counts of a manifest as text: one line per split and per counter."""
    lines = []
    for split, count in manifest["counts"].items():
        rejected = manifest["rejected_counts"][split]
        reasons = ", ".join(f"{reason} {number}" for reason, number in rejected.items()) or "none"
        lines.append(f"{split}: {count} problems, {sum(rejected.values())} rejected ({reasons})")
    lines += [f"{name}: {number}" for name, number in manifest["counters"].items()]
    return "\n".join(lines)


def _write_split(path: Path, rows: Iterable[Problem | Rejection]) -> _SplitTally:
    tally = _SplitTally()
    writer: pq.ParquetWriter | None = None
    try:
        for group in _groups(_accepted(rows, tally)):
            writer = writer or pq.ParquetWriter(path, _SCHEMA, use_dictionary=_REPEATING)
            writer.write_table(pa.Table.from_pylist([_row(problem) for problem in group], schema=_SCHEMA))
    finally:
        if writer:
            writer.close()
    return tally


def _accepted(rows: Iterable[Problem | Rejection], tally: _SplitTally) -> Iterator[Problem]:
    for row in rows:
        rejection = row if isinstance(row, Rejection) else _check_problem(row, tally.ids)
        if rejection:
            tally.rejected.append(rejection)
        elif isinstance(row, Problem):
            tally.ids.add(row.id)
            tally.rows += 1
            if form := row.metadata.get(READ_FROM):
                tally.answers_read[f"answers read from {form}"] += 1
            tally.content.update(problem_digest(row))
            yield row


def _check_problem(problem: Problem, ids: set[str]) -> Rejection | None:
    if problem.id in ids:
        return Rejection(problem.id, "duplicate id")
    fault = problem_defect(problem)
    if not fault and len(_metadata(problem)) > MAX_TEXT_CHARACTERS:
        fault = f"text over {MAX_TEXT_CHARACTERS} characters"
    return Rejection(problem.id, fault) if fault else None


def _groups(problems: Iterable[Problem]) -> Iterator[list[Problem]]:
    group: list[Problem] = []
    size = 0
    for problem in problems:
        group.append(problem)
        size += sum(map(len, problem.images))
        if len(group) >= _ROWS_A_GROUP or size >= _BYTES_A_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _row(problem: Problem) -> dict[str, Any]:
    return {
        "images": [{"bytes": image, "path": None} for image in problem.images],
        "problem": problem.question,
        "answer": problem.answer,
        "id": problem.id,
        "choices": list(problem.choices),
        "precision": problem.precision,
        "question_type": problem.question_type,
        "answer_type": problem.answer_type,
        "source": problem.source,
        "metadata": _metadata(problem),
        "data_source": VERL_SOURCES.get(problem.source, problem.source),
        "prompt": [{"role": "user", "content": _format_prompt()(problem)}],
        "reward_model": {"style": "rule", "ground_truth": problem.answer},
    }


def _metadata(problem: Problem) -> str:
    # Metadata of external tables can contain dates or bytes; the digest also uses their text.
    return json.dumps(dict(problem.metadata), sort_keys=True, default=str)


@cache
def _format_prompt() -> FormatPrompt:
    return FormatPrompt()


def _manifest(
    tallies: Mapping[str, _SplitTally], settings: Mapping[str, Any], counters: Mapping[str, int]
) -> dict[str, Any]:
    answers_read = sum((tally.answers_read for tally in tallies.values()), Counter[str]())
    return {
        "counts": {split: tally.rows for split, tally in tallies.items()},
        "rejected_counts": {
            split: dict(sorted(Counter(rejection.reason for rejection in tally.rejected).items()))
            for split, tally in tallies.items()
        },
        "sha256": {split: tally.content.hexdigest() for split, tally in tallies.items()},
        "counters": dict(sorted([*counters.items(), *answers_read.items()])),
        "settings": dict(settings),
        "rejected": [
            {"split": split, **asdict(rejection)}
            for split, tally in tallies.items()
            for rejection in tally.rejected
        ],
    }


def _publish(partial: Path, out: Path) -> None:
    """Removes the old manifest first and adds the new one last: a directory with a manifest is complete."""
    (out / MANIFEST).unlink(missing_ok=True)
    for split in SPLITS:
        file = partial / f"{split}.parquet"
        if file.exists():
            file.replace(out / file.name)
        else:
            (out / file.name).unlink(missing_ok=True)
    (partial / MANIFEST).replace(out / MANIFEST)
