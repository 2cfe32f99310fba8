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

# (columns present, where) -> columns to read; raises UserError if one that is needed is missing.
Columns = Callable[[Sequence[str], str], list[str]]

_ROWS_AT_A_TIME = 16
# ValueError and OverflowError are pyarrow's too: names that are not UTF-8, dates that Python does not have.
_READ_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError)
_BUFFER_BYTES = 2**20  # without it, a row group's column is in memory at once


def split_of(file: Path) -> str:
    """`train` for `train.parquet` and for the Hub's `train-00000-of-00002.parquet`, hashed or not."""
    return re.sub(r"-\d+(-of-\d+)?(-[0-9a-f]{16})?$", "", file.stem)


def parquet_length(file: Path, choose: Columns) -> int:
    """The number of rows in a file that has the columns. Raises UserError if there is no such file."""
    with _opened(file) as (parquet, names):
        choose(names, _shown(file))
        return int(parquet.metadata.num_rows)


def parquet_rows(file: Path, choose: Columns) -> Iterator[dict[str, Any]]:
    """Rows in file order. Raises UserError if the file or a column is missing, or reading fails midway."""
    with _opened(file) as (parquet, names):
        columns = choose(names, _shown(file))
        # Row groups are read one by one: in one pass, all groups' picture dictionaries would stay in memory.
        for group in range(parquet.num_row_groups):
            batches = parquet.iter_batches(_ROWS_AT_A_TIME, row_groups=[group], columns=columns)
            yield from _rows(batches, _shown(file))


def load_hub(name: str, split: str | None = None) -> Any:
    """A Hub dataset's split, or all of them by name, through the `datasets` cache.

    Raises:
        UserError: it cannot be loaded.
    """
    import datasets  # seconds to import, and local files never need it
    from datasets.exceptions import DatasetsError

    wanted = {} if split is None else {"split": split}
    try:
        with silence_hub_retries():
            return datasets.load_dataset(name, **wanted)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        part = f" with split '{split}'" if split else ""
        raise UserError(
            f"{name}: no Hub dataset{part} could be loaded: {_first_line(error)}; "
            "check the name, the connection and your access to it"
        ) from error


def hub_rows(dataset: Any, choose: Columns, where: str) -> Iterator[dict[str, Any]]:
    """Rows of a loaded split. In Arrow format pictures are not decoded."""
    columns = choose(dataset.column_names, where)
    yield from _rows(dataset.select_columns(columns).with_format("arrow").iter(_ROWS_AT_A_TIME), where)


@contextmanager
def _opened(file: Path) -> Iterator[tuple[pq.ParquetFile, list[str]]]:
    """The file and its columns' names."""
    try:
        parquet = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
        names = parquet.schema_arrow.names
    except _READ_ERRORS as error:
        raise UserError(
            f"{_shown(file)}: no parquet file: {_first_line(error)}; write or download it again"
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


def _shown(file: Path) -> str:
    return escape(str(file), 200)
