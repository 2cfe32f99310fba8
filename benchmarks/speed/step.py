"""Times one GRPO step of this project and of TRL's GRPOTrainer (no vLLM), in turns on one machine.

    pip install -r benchmarks/requirements.txt
    OMP_NUM_THREADS=1 python benchmarks/speed/step.py --shape geometry3k
    OMP_NUM_THREADS=1 python benchmarks/speed/step.py --shape short --kl 0.01
    OMP_NUM_THREADS=1 python benchmarks/speed/step.py --shape geometry3k --ranks 2
    python benchmarks/speed/step.py --shape 3b                      # one GPU of 80 GB
    python benchmarks/speed/step.py --shape 3b --difficult 0.33     # a whole UEC step, ours only
    python benchmarks/speed/step.py --shape 3b --trl-limit 300      # TRL: fewer prompts, or a lower bound

Both sides have the same checkpoint, prompts, G, lengths, precision and optimizer; rewards are forced so that
every advantage is nonzero. Each side is a separate process. They take turns, so that changes in the machine's
speed affect both equally. A turn is one warm-up step, which refills the caches after the other side's turn,
and two counted steps. On a GPU, whose memory is too small for both, they run one after the other. Prints
medians by phase, their ratios, and the ratios turn by turn; writes JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.machine import machine_info
from benchmarks.lib.speed.limited_step import LimitedStep, describe, limited_step
from benchmarks.lib.speed.step_shapes import STEP_SHAPES
from benchmarks.lib.speed.turns import PHASES, Steps, median_seconds, take_turns, total_steps
from benchmarks.lib.speed.workers import make_model, make_spec, worker


def print_table(turns: Mapping[str, Sequence[Steps]]) -> None:
    print(f"{'seconds':>12} " + " ".join(f"{phase:>11}" for phase in PHASES) + f" {'peak GiB':>9}")
    for side, rows in turns.items():
        values = [median_seconds(rows, phase) for phase in PHASES]
        peak = max(step["peak_gib"] for turn in rows for step in turn)
        print(f"{side:>12} " + " ".join(f"{value:>11.3f}" for value in values) + f" {peak:>9.2f}")
    if len(turns) == 2:
        ratios = [
            median_seconds(turns["trl"], phase) / median_seconds(turns["our"], phase) for phase in PHASES
        ]
        print(f"{'TRL / ours':>12} " + " ".join(f"{ratio:>11.2f}" for ratio in ratios))
        by_turn = [
            median_seconds([theirs], "step") / median_seconds([ours], "step")
            for ours, theirs in zip(turns["our"], turns["trl"], strict=True)
        ]
        print("step, turn by turn: " + ", ".join(f"{ratio:.2f}" for ratio in by_turn))


def print_rates(turns: Sequence[Steps], rate: float, ranks: int) -> None:
    """Rates of our side over all counted steps, because a step may train on samples of the previous one."""
    steps = [step for turn in turns for step in turn]
    tokens = sum(step["tokens"] for step in steps) / sum(step["step"] for step in steps)
    print(f"ours: {tokens:.0f} prompt and response tokens of every trajectory per second")
    flops = sum(step["update_flops"] for step in steps) / sum(step["update"] for step in steps) / ranks
    print(f"ours: update at {flops / rate:.0%} of {rate / 1e9:.0f} GFLOP/s, the rate of a large product here")
    print("(6 FLOPs per text weight and unique token; tower and attention are not counted)")


def matrix_rate() -> float:
    """FLOP/s of the fastest of a few large products: bf16 on a GPU, fp32 and one thread on a CPU."""
    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    size, dtype = (8192, torch.bfloat16) if gpu else (1024, torch.float32)
    matrix = torch.randn(size, size, dtype=dtype, device="cuda" if gpu else "cpu")
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        product = matrix @ matrix
        float(product[0, 0])  # synchronises with the GPU
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def take_limited_step(
    spec: Mapping[str, Any], directory: Path, arguments: argparse.Namespace
) -> LimitedStep | None:
    """One step of TRL on the first prompts."""
    prompts = min(arguments.trl_prompts, spec["prompts"])
    rows = min(spec["trl_microbatch"] or prompts * spec["n"], prompts * spec["n"])
    path = directory / "trl.json"
    own = {**spec, "prompts": prompts, "steps": 1, "trl_microbatch": rows}
    path.write_text(json.dumps(own), encoding="utf-8")
    limit = arguments.trl_limit
    return limited_step(worker("trl", path, arguments.ranks, limit=limit), prompts, limit)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(STEP_SHAPES), default="geometry3k")
    parser.add_argument("--n", type=int, help="G; by default the shape's")
    parser.add_argument("--kl", type=float, default=0.0)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--trl-limit", type=float, help="seconds for one step of TRL, start included")
    parser.add_argument("--trl-prompts", type=int, default=2, help="prompts of that step")
    parser.add_argument(
        "--difficult", type=float, default=0.0, help="share of prompts that fail and are explored; ours only"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/step.json"))
    parser.add_argument(
        "overrides", nargs="*", metavar="dotted.key=value", help="settings of this project's config"
    )
    arguments = parser.parse_intermixed_args()
    alone = arguments.ours_only or arguments.difficult or arguments.trl_limit
    sides = ["our"] if alone else ["our", "trl"]
    with tempfile.TemporaryDirectory() as directory:
        shape, model = STEP_SHAPES[arguments.shape], Path(directory) / "model"
        make_model(shape.model, model)
        spec = make_spec(
            shape,
            model,
            Path(directory),
            steps=total_steps(arguments.steps),
            n=arguments.n,
            kl=arguments.kl,
            difficult=arguments.difficult,
            overrides=dict(pair.split("=", 1) for pair in arguments.overrides),
        )
        path = Path(directory) / "spec.json"
        path.write_text(json.dumps(spec), encoding="utf-8")
        turns = take_turns({side: worker(side, path, arguments.ranks) for side in sides}, arguments.steps)
        limited = None if arguments.trl_limit is None else take_limited_step(spec, Path(directory), arguments)
    print_table(turns)
    if arguments.trl_limit is not None:
        print(describe(limited, spec["prompts"], median_seconds(turns["our"], "step")))
    rate = matrix_rate()
    print_rates(turns["our"], rate, arguments.ranks)
    settings = {name: value for name, value in spec.items() if name not in ("model", "problems")}
    record = {
        "machine": machine_info(),
        "shape": arguments.shape,
        "ranks": arguments.ranks,
        "settings": settings,
    }
    record["matrix_flops"] = rate
    record["trl_limited"] = None if limited is None else asdict(limited)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({**record, "turns": turns}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
