"""Inspects a directory and writes the page, with one split in memory at a time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from data_prep.inspect.budget import PixelBudget
from data_prep.inspect.console import console_text
from data_prep.inspect.duplicates import find_overlaps
from data_prep.inspect.findings import compute_findings
from data_prep.inspect.gallery import gallery
from data_prep.inspect.page import page_text
from data_prep.inspect.prompt_length import PromptTokenCounter
from data_prep.inspect.scan import scan_split
from data_prep.inspect.splits import list_splits, rejected_by_data_prep
from vlm_uec.data.dataset import load_problems
from vlm_uec.errors import UserError


def inspect_dataset(
    directory: Path,
    out: Path,
    *,
    model: Path | None,
    template: str | None,
    min_pixels: int,
    max_pixels: int,
    max_prompt_tokens: int,
    pictures: int,
) -> str:
    """Write the page to `out` and return the text for the console; `pictures`: gallery cards per split.

    Raises `UserError` if the dataset, a split or the model cannot be read, or `out` cannot be written.
    """
    names = list_splits(directory)
    _check_target(out)
    count_tokens = PromptTokenCounter(model, template, min_pixels, max_pixels) if model else None
    budget = count_tokens.budget if count_tokens else PixelBudget(min_pixels, max_pixels)
    splits, galleries = [], {}
    for name in names:
        loaded = load_problems(str(directory), name)
        splits.append(scan_split(name, loaded, count_tokens))
        galleries[name] = gallery(loaded.problems, splits[-1], pictures)
    findings = compute_findings(splits, rejected_by_data_prep(directory), budget, max_prompt_tokens)
    overlaps = find_overlaps(splits)
    settings = f"{directory.resolve()}, {min_pixels} to {max_pixels} pixels per picture, " + (
        f"prompts of {model.resolve().name}" if model else "no model given: prompt tokens not counted"
    )
    title = f"Dataset {directory.resolve().name}"
    _write(out, page_text(title, settings, splits, findings, overlaps, galleries))
    return f"{console_text(splits, findings, overlaps)}\n\npage: {out}"


def _check_target(out: Path) -> None:
    """Raises `UserError` if the page cannot be written, before the inspection starts."""
    try:
        writable = out.parent.is_dir() and not out.is_dir()
    except OSError:
        writable = False
    if not writable:
        raise UserError(f"--out {out}: cannot be written; give a file in an existing directory")


def _write(out: Path, content: str) -> None:
    """Writes the page atomically."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.write_text(content, encoding="utf-8", errors="replace")
        temporary.replace(out)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}; choose another file") from error
    finally:
        with suppress(OSError):  # also fails in a read-only folder, which is already reported
            temporary.unlink(missing_ok=True)
