"""Where a command's rows come from (a directory, parquet files, the Hub), and how they become problems."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_prep.writer import Rejection
from vlm_uec.data.dataset import parquet_files
from vlm_uec.data.rows import RejectedRow, read_problems
from vlm_uec.data.tables import Columns, hub_rows, load_hub, parquet_length, parquet_rows, split_of
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

Row = Mapping[str, Any]
Problems = Iterator[Problem | Rejection]


@dataclass(frozen=True)
class Table:
    """Rows of one split: how many, and how to read them."""

    length: int
    read: Callable[[], Iterator[Row]]


@dataclass(frozen=True)
class Source:
    """What `--hub` or `--parquet` names: each split's tables in order, and what the manifest says of it."""

    where: str
    tables: Mapping[str, Sequence[Table]]
    settings: Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser, raw: str | None, columns: str) -> None:
    """`raw` and `columns` say what a raw directory and a table hold; None: there is no raw form."""
    source = parser.add_mutually_exclusive_group(required=True)
    if raw is not None:
        source.add_argument("--raw", type=Path, metavar="DIR", help=raw)
    source.add_argument("--hub", metavar="ID", help=f"a Hub data set with the columns {columns}")
    source.add_argument(
        "--parquet",
        nargs="+",
        metavar="FILE",
        help=f"parquet files with the columns {columns}; the split is read off a file's name, or write "
        "SPLIT=FILE; a directory stands for its parquet files",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the parquet files go")


def open_source(args: argparse.Namespace, names: Mapping[str, str], choose: Columns) -> Source:
    """The tables of `args.hub` or `args.parquet`. `names`: a split's published names, and ours.

    Raises:
        UserError: a file or data set that cannot be opened, a split of another name, a column missing.
    """
    if args.hub is not None:
        return Source(args.hub, _hub_tables(args.hub, names, choose), {"layout": "hub", "hub": args.hub})
    files = list(chain.from_iterable(_named_files(item, names) for item in args.parquet))
    tables = [
        (split, Table(parquet_length(file, choose), partial(parquet_rows, file, choose)))
        for split, file in files
    ]
    settings = {"layout": "parquet", "files": [file.name for _, file in files]}
    return Source(" ".join(args.parquet), _by_split(tables, names), settings)


def table_problems(
    split: str,
    tables: Sequence[Table],
    build: Callable[[Row], Problem],
    name: Callable[[Row], str] | None = None,
) -> Problems:
    """`row_problems` of a split's tables, one after the other."""
    rows = chain.from_iterable(table.read() for table in tables)
    yield from row_problems(split, rows, sum(table.length for table in tables), build, name)


def row_problems(
    split: str,
    rows: Iterable[Row],
    total: int,
    build: Callable[[Row], Problem],
    name: Callable[[Row], str] | None = None,
) -> Problems:
    """A split's rows as problems or rejections, with a progress bar. `build`, `name`: see `read_problems`."""
    for item in read_problems(progress(rows, split, total), build, name):
        if isinstance(item, RejectedRow):
            yield Rejection(item.id or f"{split} row {item.row}", item.reason, item.detail)
        else:
            yield item


def progress(rows: Iterable[Any], split: str, total: int) -> Iterable[Any]:
    """The same rows, with a bar where standard error is a terminal."""
    return tqdm(rows, split, total, unit=" problems", disable=None)


def _hub_tables(dataset: str, names: Mapping[str, str], choose: Columns) -> dict[str, list[Table]]:
    found = load_hub(dataset)
    if unknown := [split for split in found if split not in names]:
        raise UserError(
            f"{dataset}: split '{unknown[0]}' is none of {', '.join(names)}; "
            "download its files and give --parquet SPLIT=FILE"
        )
    tables = []
    for split, rows in found.items():
        where = f"{dataset} ({split})"
        choose(rows.column_names, where)
        tables.append((names[split], Table(len(rows), partial(hub_rows, rows, choose, where))))
    return _by_split(tables, names)


def _by_split(tables: Iterable[tuple[str, Table]], names: Mapping[str, str]) -> dict[str, list[Table]]:
    """In the order of `names`, which is the usual one, and not that of the files."""
    splits: dict[str, list[Table]] = {split: [] for split in names.values()}
    for split, table in tables:
        splits[split].append(table)
    return {split: found for split, found in splits.items() if found}


def _named_files(item: str, names: Mapping[str, str]) -> list[tuple[str, Path]]:
    name, equals, rest = item.partition("=")
    if equals and name in names:
        return [(names[name], _existing(Path(rest)))]
    if equals and name.isidentifier() and not Path(item).exists():
        raise UserError(f"{item}: '{name}' is none of the splits {', '.join(names)}; rename it")
    path = _existing(Path(item))
    files = parquet_files(path) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: no parquet file in it, nor in its folder data; check --parquet")
    return [(_split(file, names), file) for file in files]


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path}: no such file; check --parquet")
    return path


def _split(file: Path, names: Mapping[str, str]) -> str:
    name = split_of(file)
    if name not in names:
        raise UserError(
            f"{file}: its name tells none of the splits {', '.join(names)}; "
            f"write SPLIT=FILE, such as {next(iter(names))}={file}"
        )
    return names[name]
