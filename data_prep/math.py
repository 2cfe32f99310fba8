"""Converts text-only problems with one answer each, such as MATH or GSM8K, to a training dataset.

The input is tables, in parquet files or on the Hub, with a column for the problem and one for its answer,
which is read by `vlm_uec.data.answers`: of `reasoning #### 42`, as in GSM8K, only 42 is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from functools import partial
from typing import Any

from data_prep import sources
from data_prep.writer import summary, write_dataset
from vlm_uec.data.rows import parse_problem, require_columns
from vlm_uec.types import Problem

TABLE_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    sources.add_arguments(parser, None, "named by --problem and --answer")
    parser.add_argument("--problem", default="problem", metavar="COLUMN", help="%(default)s if not given")
    parser.add_argument("--answer", default="answer", metavar="COLUMN", help="%(default)s if not given")


def run(args: argparse.Namespace) -> str:
    """Raises UserError if a table cannot be read, or no row is usable."""
    source = sources.open_source(args, TABLE_SPLITS, partial(_columns, columns=(args.problem, args.answer)))
    parse = partial(_problem, problem=args.problem, answer=args.answer)
    splits = {split: sources.table_problems(split, tables, parse) for split, tables in source.tables.items()}
    return summary(write_dataset(args.out, splits, {"dataset": "math", **source.settings}))


def _columns(present: Iterable[str], where: str, columns: tuple[str, ...]) -> list[str]:
    require_columns(columns, present, where)
    return [*columns, *({"id"} & set(present))]


def _problem(row: sources.Row, problem: str, answer: str) -> Problem:
    fields: dict[str, Any] = {"images": [], "problem": row[problem], "answer": row[answer]}
    return parse_problem(fields | ({"id": row["id"]} if "id" in row else {}))
