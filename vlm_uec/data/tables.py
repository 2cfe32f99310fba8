"""Rows of parquet files and Hub datasets, read in small batches. Pictures stay encoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.hub import silence_hub_retries

# (columns present, name for errors) -> columns to read; raises UserError if a required one is missing.
ColumnChooser = Callable[[Sequence[str], str], list[str]]

_ROWS_AT_A_TIME = 16
# pyarrow raises ValueError and OverflowError for names that are not UTF-8 and dates out of Python's range.
_READ_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError)
_BUFFER_BYTES = 2**20  # without a buffer size, a column of a row group is read into memory at once


def split_name(file: Path) -> str:
    """`train` for `train.parquet` and the Hub's `train-00000-of-00002.parquet`, with or without a hash."""
    return re.sub(r"-\d+(-of-\d+)?(-[0-9a-f]{16})?$", "", file.stem)


def parquet_length(file: Path, choose_columns: ColumnChooser) -> int:
    """The number of rows of a file. Raises UserError if the file or a column is missing."""
    with _open_parquet(file) as (parquet, names):
        choose_columns(names, _display_path(file))
        return int(parquet.metadata.num_rows)


def parquet_rows(file: Path, choose_columns: ColumnChooser) -> Iterator[dict[str, Any]]:
    """Rows in file order. Raises UserError if the file or a column is missing, or reading fails midway."""
    with _open_parquet(file) as (parquet, names):
        columns = choose_columns(names, _display_path(file))
        # One row group at a time: a single pass would keep the picture dictionaries of all groups in memory.
        for group in range(parquet.num_row_groups):
            batches = parquet.iter_batches(_ROWS_AT_A_TIME, row_groups=[group], columns=columns)
            yield from _rows(batches, _display_path(file))


def load_hub_dataset(name: str, split: str | None = None) -> Any:
    """A split of a Hub dataset, or all splits by name, through the `datasets` cache.

    Raises UserError if it cannot be loaded.
    """
    import datasets  # takes seconds to import, and local files do not need it
    from datasets.exceptions import DatasetsError

    options = {} if split is None else {"split": split}
    try:
        with silence_hub_retries():
            return datasets.load_dataset(name, **options)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        part = f" with split '{split}'" if split else ""
        raise UserError(
            f"{name}: no Hub dataset{part} could be loaded: {_first_line(error)}; "
            "check the name, the connection and your access to it"
        ) from error


def hub_rows(dataset: Any, choose_columns: ColumnChooser, where: str) -> Iterator[dict[str, Any]]:
    """Rows of a loaded split, in Arrow format, in which pictures are not decoded."""
    columns = choose_columns(dataset.column_names, where)
    yield from _rows(dataset.select_columns(columns).with_format("arrow").iter(_ROWS_AT_A_TIME), where)


@contextmanager
def _open_parquet(file: Path) -> Iterator[tuple[pq.ParquetFile, list[str]]]:
    """The open file and its column names. Raises UserError if it is not a parquet file."""
    try:
        parquet = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
        names = parquet.schema_arrow.names
    except _READ_ERRORS as error:
        raise UserError(
            f"{_display_path(file)}: not a parquet file: {_first_line(error)}; write or download it again"
        ) from error
    with parquet:
        yield parquet, names


def _rows(batches: Iterable[pa.RecordBatch | pa.Table], where: str) -> Iterator[dict[str, Any]]:
    try:
        for batch in batches:
            yield from batch.to_pylist()
    except _READ_ERRORS as error:
        raise UserError(
            f"{where}: cannot be read: {_first_line(error)}; write or download it again"
        ) from error


def _first_line(error: BaseException) -> str:
    return escape(str(error).strip().split("\n")[0], 200)


def _display_path(file: Path) -> str:
    return escape(str(file), 200)
