"""Seconds of one GRPO step as G, the picture size and the number of ranks grow.

    OMP_NUM_THREADS=1 python benchmarks/speed/scaling.py
    OMP_NUM_THREADS=1 python benchmarks/speed/scaling.py --sweep G --steps 9

Steps of the whole trainer at step.py's geometry3k shape with one parameter varied at a time; rewards and
lengths are forced. On a CPU all trainers run side by side and take turns, so that changes in the machine's
speed affect all of them equally; on a GPU, whose memory is too small for that, they run one after the other.
Prints medians, and ratios turn by turn to the first row of each sweep; writes JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.machine import machine_info
from benchmarks.lib.speed.step_shapes import STEP_SHAPES
from benchmarks.lib.speed.turns import PHASES, Steps, median_seconds, take_turns, total_steps
from benchmarks.lib.speed.workers import make_model, make_spec, worker

BASE = STEP_SHAPES["geometry3k"]


@dataclass(frozen=True)
class Point:
    """The parameters that differ between the trainers."""

    n: int = BASE.n
    pixels: int = BASE.pixels
    ranks: int = 1

    @property
    def name(self) -> str:
        return f"G{self.n}-{self.pixels}px-{self.ranks}"


SWEEPS = {
    "G": [Point(n=n) for n in (4, 8, 16)],
    "picture": [Point(pixels=pixels) for pixels in (84, 196, 392)],
    "ranks": [Point(ranks=ranks) for ranks in (1, 2)],
}
Turns = Mapping[Point, Sequence[Steps]]


def write_specs(points: Sequence[Point], directory: Path, arguments: argparse.Namespace) -> dict[Point, Path]:
    """One SPEC.json per point; points with equal picture sizes share the model and the problems."""
    specs: dict[int, dict[str, Any]] = {}
    paths = {}
    for point in points:
        if point.pixels not in specs:
            shared = directory / str(point.pixels)
            shared.mkdir()
            make_model(BASE.model, shared / "model")
            specs[point.pixels] = make_spec(
                replace(BASE, pixels=point.pixels),
                shared / "model",
                shared,
                steps=total_steps(arguments.steps),
                kl=arguments.kl,
                overrides=dict(pair.split("=", 1) for pair in arguments.overrides),
            )
        paths[point] = directory / f"{point.name}.json"
        text = json.dumps({**specs[point.pixels], "n": point.n})
        paths[point].write_text(text, encoding="utf-8")
    return paths


def print_sweep(title: str, points: Sequence[Point], turns: Turns) -> None:
    print(f"\n{title}")
    print(
        f"{'G':>3} {'picture':>8} {'ranks':>6} " + " ".join(f"{phase:>11}" for phase in PHASES) + "    times"
    )
    for point in points:
        values = [median_seconds(turns[point], phase) for phase in PHASES]
        seconds = " ".join(f"{value:>11.3f}" for value in values)
        relative = step_ratio(turns, point, points[0])
        print(f"{point.n:>3} {point.pixels:>8} {point.ranks:>6} {seconds} {relative:>8.2f}")


def step_ratio(turns: Turns, point: Point, first: Point) -> float:
    """Median over the turns of the ratio of median step times."""
    pairs = zip(turns[point], turns[first], strict=True)
    return median(median_seconds([one], "step") / median_seconds([other], "step") for one, other in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweep", nargs="+", choices=sorted(SWEEPS), default=list(SWEEPS))
    parser.add_argument("--kl", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/scaling.json"))
    parser.add_argument(
        "overrides", nargs="*", metavar="dotted.key=value", help="settings of this project's config"
    )
    arguments = parser.parse_intermixed_args()
    points = list(dict.fromkeys(point for name in arguments.sweep for point in SWEEPS[name]))
    with tempfile.TemporaryDirectory() as directory:
        paths = write_specs(points, Path(directory), arguments)
        workers = {point: worker("our", path, point.ranks) for point, path in paths.items()}
        turns = take_turns(workers, arguments.steps)
    for name in arguments.sweep:
        print_sweep(name, SWEEPS[name], turns)
    rows = [{**asdict(point), "turns": turns[point]} for point in points]
    ratios = {
        name: {point.name: step_ratio(turns, point, SWEEPS[name][0]) for point in SWEEPS[name]}
        for name in arguments.sweep
    }
    record = {"machine": machine_info(), "shape": asdict(BASE), "kl_coef": arguments.kl}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**record, "ratios": ratios, "points": rows}, indent=2)
    arguments.out.write_text(text + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
