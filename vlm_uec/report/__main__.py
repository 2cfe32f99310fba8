"""`python -m vlm_uec.telemetry.report RUN [RUN …] [--out FILE]`: writes an HTML page of runs."""

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
        description="Writes one HTML page for one run, or for several runs in the same charts.",
    )
    parser.add_argument(
        "directories",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="output directory of train.py, or of eval/passk.py",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="output file; default: report.html in the run directory, or in . for several runs",
    )
    arguments = parser.parse_args()
    return exit_code_of(lambda: report(arguments.directories, arguments.out))


def report(directories: list[Path], out: Path | None) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # looking up a data set must not wait for the network
    from vlm_uec.report.page import write_report

    written = write_report(*directories, out=out)
    for note in written.notes:
        log.warning("%s", note)
    print(f"report: {written.path.resolve()}")


if __name__ == "__main__":
    sys.exit(main())
