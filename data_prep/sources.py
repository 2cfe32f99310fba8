"""Input rows of a command (from a directory, parquet files or the Hub), and their conversion to problems."""

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
from vlm_uec.data.rows import RejectedRow, parse_problems
from vlm_uec.data.tables import (
    ColumnChooser,
    hub_rows,
    load_hub_dataset,
    parquet_length,
    parquet_rows,
    split_name,
)
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

Row = Mapping[str, Any]
Problems = Iterator[Problem | Rejection]


@dataclass(frozen=True)
class SplitTable:
    """The number of rows of one table of a split, and a function that reads them."""

    length: int
    read: Callable[[], Iterator[Row]]


@dataclass(frozen=True)
class TableSource:
    """The input of `--hub` or `--parquet`: the tables of each split in order, and the manifest's settings."""

    where: str
    tables: Mapping[str, Sequence[SplitTable]]
    settings: Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser, raw: str | None, columns: str) -> None:
    """`raw`, `columns`: help texts on the content of a raw directory (None: no --raw) and of a table."""
    source = parser.add_mutually_exclusive_group(required=True)
    if raw is not None:
        source.add_argument("--raw", type=Path, metavar="DIR", help=raw)
    source.add_argument("--hub", metavar="ID", help=f"a Hub data set with the columns {columns}")
    source.add_argument(
        "--parquet",
        nargs="+",
        metavar="FILE",
        help=f"parquet files with the columns {columns}; the name of a file gives its split, or write "
        "SPLIT=FILE; a directory means all of its parquet files",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory of the data set")


def open_source(
    args: argparse.Namespace, split_names: Mapping[str, str], choose_columns: ColumnChooser
) -> TableSource:
    """The tables of `args.hub` or `args.parquet`. `split_names`: our split names by published name.

    Raises:
        UserError: a file or data set cannot be opened, a split name is unknown, a column is missing.
    """
    if args.hub is not None:
        return TableSource(
            args.hub, _hub_tables(args.hub, split_names, choose_columns), {"layout": "hub", "hub": args.hub}
        )
    files = list(chain.from_iterable(_files_by_split(item, split_names) for item in args.parquet))
    tables = [
        (split, SplitTable(parquet_length(file, choose_columns), partial(parquet_rows, file, choose_columns)))
        for split, file in files
    ]
    settings = {"layout": "parquet", "files": [file.name for _, file in files]}
    return TableSource(" ".join(args.parquet), _group_by_split(tables, split_names), settings)


def table_problems(
    split: str,
    tables: Sequence[SplitTable],
    parse: Callable[[Row], Problem],
    row_id: Callable[[Row], str] | None = None,
) -> Problems:
    """`row_problems` over all tables of a split."""
    rows = chain.from_iterable(table.read() for table in tables)
    yield from row_problems(split, rows, sum(table.length for table in tables), parse, row_id)


def row_problems(
    split: str,
    rows: Iterable[Row],
    total: int,
    parse: Callable[[Row], Problem],
    row_id: Callable[[Row], str] | None = None,
) -> Problems:
    """A split's rows as problems or rejections, with a progress bar; arguments as in `parse_problems`."""
    for item in parse_problems(progress(rows, split, total), parse, row_id):
        if isinstance(item, RejectedRow):
            yield Rejection(item.id or f"{split} row {item.row}", item.reason, item.detail)
        else:
            yield item


def progress(rows: Iterable[Any], split: str, total: int) -> Iterable[Any]:
    """Iterates over the rows, with a progress bar if standard error is a terminal."""
    return tqdm(rows, split, total, unit=" problems", disable=None)


def _hub_tables(
    dataset: str, split_names: Mapping[str, str], choose_columns: ColumnChooser
) -> dict[str, list[SplitTable]]:
    found = load_hub_dataset(dataset)
    if unknown := [split for split in found if split not in split_names]:
        raise UserError(
            f"{dataset}: split '{unknown[0]}' is none of {', '.join(split_names)}; "
            "download its files and give --parquet SPLIT=FILE"
        )
    tables = []
    for split, rows in found.items():
        where = f"{dataset} ({split})"
        choose_columns(rows.column_names, where)
        tables.append(
            (split_names[split], SplitTable(len(rows), partial(hub_rows, rows, choose_columns, where)))
        )
    return _group_by_split(tables, split_names)


def _group_by_split(
    tables: Iterable[tuple[str, SplitTable]], split_names: Mapping[str, str]
) -> dict[str, list[SplitTable]]:
    """Groups tables by split, in the order of `split_names`."""
    splits: dict[str, list[SplitTable]] = {split: [] for split in split_names.values()}
    for split, table in tables:
        splits[split].append(table)
    return {split: found for split, found in splits.items() if found}


def _files_by_split(item: str, split_names: Mapping[str, str]) -> list[tuple[str, Path]]:
    name, equals, rest = item.partition("=")
    if equals and name in split_names:
        return [(split_names[name], _check_exists(Path(rest)))]
    if equals and name.isidentifier() and not Path(item).exists():
        raise UserError(f"{item}: '{name}' is none of the splits {', '.join(split_names)}; rename it")
    path = _check_exists(Path(item))
    files = parquet_files(path) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: no parquet file in it or in its folder data; check --parquet")
    return [(_split_of_file(file, split_names), file) for file in files]


def _check_exists(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path}: no such file; check --parquet")
    return path


def _split_of_file(file: Path, split_names: Mapping[str, str]) -> str:
    name = split_name(file)
    if name not in split_names:
        raise UserError(
            f"{file}: its name matches none of the splits {', '.join(split_names)}; "
            f"write SPLIT=FILE, such as {next(iter(split_names))}={file}"
        )
    return split_names[name]
