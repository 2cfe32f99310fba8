"""Time and peak memory of `python -m data_prep geometry3k --raw`.

    OMP_NUM_THREADS=1 python benchmarks/speed/prepare.py
    OMP_NUM_THREADS=1 python benchmarks/speed/prepare.py --raw InterGPS/data/geometry3k

Without `--raw` it first draws 3,002 problems, as many as Geometry3K has, with line drawings 300 to 800 pixels
wide; drawing is not timed. The command runs in a separate process: its start and imports are part of the
time, and the memory is the peak of that process alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import combinations, count, islice
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

SPLITS = {"train": 2101, "val": 300, "test": 601}


def draw_problems(directory: Path, seed: int) -> None:
    """Writes `<split>.jsonl` in Geometry3K's format, and one picture per problem."""
    rng, numbers = Random(seed), count()
    for split, size in SPLITS.items():
        lines = []
        for problem in islice(numbers, size):
            diagram(rng).save(directory / f"{problem}.png")
            record = {"id": problem, "problem": "Find x.", "answer": str(problem), "image": f"{problem}.png"}
            lines.append(json.dumps(record) + "\n")
        (directory / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


def diagram(rng: Random) -> Image.Image:
    """A polygon with diagonals and labels on white, antialiased."""
    width = rng.randint(300, 800)
    height = int(width * rng.uniform(0.6, 0.9))
    image = Image.new("RGB", (2 * width, 2 * height), "white")
    pen = ImageDraw.Draw(image)
    corners = [(rng.randrange(2 * width), rng.randrange(2 * height)) for _ in range(rng.randint(4, 8))]
    for first, second in combinations(corners, 2):
        pen.line((first, second), fill="black", width=4)
    for corner in corners:
        pen.text(corner, str(rng.randrange(100)), fill="blue", font_size=36)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def prepare(raw: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak resident MiB of the command, which raises CalledProcessError if it fails."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "data_prep", "geometry3k", "--raw", str(raw), "--out", str(out)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--raw", type=Path, metavar="DIR", help="a Geometry3K directory; without it, problems are drawn"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the drawings")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        raw = arguments.raw
        if raw is None:
            raw = Path(name) / "raw"
            raw.mkdir()
            draw_problems(raw, arguments.seed)
        seconds, peak = prepare(raw.resolve(), Path(name) / "out")
        manifest = json.loads((Path(name) / "out" / "manifest.json").read_text(encoding="utf-8"))
    kept, rejected = sum(manifest["counts"].values()), len(manifest["rejected"])
    print(f"\n{'problems':>9} {'rejected':>9} {'seconds':>8} {'problems/s':>11} {'peak MiB':>9}")
    print(f"{kept:>9} {rejected:>9} {seconds:>8.1f} {(kept + rejected) / seconds:>11.0f} {peak:>9.0f}")


if __name__ == "__main__":
    main()
