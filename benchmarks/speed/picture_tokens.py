"""Tokens per picture with the reference code's two roundings and with this trainer's one.

    python benchmarks/speed/picture_tokens.py data/diagrams --min-pixels 262144 250112

The reference code (like EasyR1) scales a picture to whole pixels and then rounds its sides to the nearest
multiple of 28; here, one step rounds the sides of a small picture up. The same `data.min_pixels` therefore
gives more tokens here; this script finds the one with the same mean. It reads sizes only and decodes nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.speed.picture_tokens import picture_sizes, table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path, help="searched for pictures, with its subdirectories")
    parser.add_argument(
        "--min-pixels", type=int, nargs="+", default=[262_144], help="budgets of this trainer"
    )
    parser.add_argument("--reference-min-pixels", type=int, default=262_144)
    parser.add_argument("--max-pixels", type=int, default=4_194_304, help="of both")
    arguments = parser.parse_args()
    sizes = picture_sizes(arguments.directory)
    if not sizes:
        parser.error(f"no pictures below {arguments.directory}")
    for line in table(sizes, arguments.min_pixels, arguments.reference_min_pixels, arguments.max_pixels):
        print(line)


if __name__ == "__main__":
    main()
