"""The inspection from a directory to the page: one split in memory at a time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from data_prep.inspect.budget import PixelBudget
from data_prep.inspect.console import console_text
from data_prep.inspect.findings import find
from data_prep.inspect.gallery import gallery
from data_prep.inspect.page import page_text
from data_prep.inspect.prompt_length import PromptMeter
from data_prep.inspect.repeats import find_overlaps
from data_prep.inspect.splits import left_out_before, splits_of
from data_prep.inspect.survey import survey
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
    """Write the page to `out` and return what the console shows; `pictures` are gallery cards a split.

    Raises `UserError` where the dataset, a split of it or the model cannot be read, or `out` not be written.
    """
    names = splits_of(directory)
    _check_target(out)
    meter = PromptMeter(model, template, min_pixels, max_pixels) if model else None
    budget = meter.budget if meter else PixelBudget(min_pixels, max_pixels)
    splits, galleries = [], {}
    for name in names:
        loaded = load_problems(str(directory), name)
        splits.append(survey(name, loaded, meter))
        galleries[name] = gallery(loaded.problems, splits[-1], pictures)
    findings = find(splits, left_out_before(directory), budget, max_prompt_tokens)
    overlaps = find_overlaps(splits)
    settings = f"{directory.resolve()}, {min_pixels} to {max_pixels} pixels a picture, " + (
        f"prompts of {model.resolve().name}" if model else "no model named: prompt tokens not counted"
    )
    title = f"Dataset {directory.resolve().name}"
    _write(out, page_text(title, settings, splits, findings, overlaps, galleries))
    return f"{console_text(splits, findings, overlaps)}\n\npage: {out}"


def _check_target(out: Path) -> None:
    """Before the work is done, not after."""
    try:
        writable = out.parent.is_dir() and not out.is_dir()
    except OSError:
        writable = False
    if not writable:
        raise UserError(f"--out {out}: no file can be written there; give one in a directory that exists")


def _write(out: Path, content: str) -> None:
    """Whole or not at all."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.write_text(content, encoding="utf-8", errors="replace")
        temporary.replace(out)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}; choose another file") from error
    finally:
        with suppress(OSError):  # fails in a read-only folder too, already reported
            temporary.unlink(missing_ok=True)
