"""`python -m vlm_uec.telemetry.report RUN [RUN …] [--out FILE]`: runs as one HTML page that opens offline."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from vlm_uec.cli import exit_code_of

log = logging.getLogger("vlm_uec.report")  # __name__ is __main__ here


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m vlm_uec.telemetry.report",
        description="One page of one run, or of several with their curves in the same charts.",
    )
    parser.add_argument(
        "directories",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="what train.py wrote, or eval/passk.py beside it",
    )
    parser.add_argument(
        "--out", type=Path, help="the page; left out: report.html in the run, or here where there are several"
    )
    arguments = parser.parse_args()
    return exit_code_of(lambda: report(arguments.directories, arguments.out))


def report(directories: list[Path], out: Path | None) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a page waits for no network
    from vlm_uec.report.page import write_report

    written = write_report(*directories, out=out)
    for note in written.notes:
        log.warning("%s", note)
    print(f"report: {written.path.resolve()}")


if __name__ == "__main__":
    sys.exit(main())
