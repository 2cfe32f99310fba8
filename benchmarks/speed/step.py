"""One GRPO step, this project's and TRL's GRPOTrainer (no vLLM), taking turns on one machine.

    pip install -r benchmarks/requirements.txt
    OMP_NUM_THREADS=1 python benchmarks/speed/step.py --shape geometry3k
    OMP_NUM_THREADS=1 python benchmarks/speed/step.py --shape short --kl 0.01
    OMP_NUM_THREADS=1 python benchmarks/speed/step.py --shape geometry3k --ranks 2
    python benchmarks/speed/step.py --shape 3b                      # one GPU of 80 GB
    python benchmarks/speed/step.py --shape 3b --difficult 0.33     # a whole UEC step, ours only

Same checkpoint, prompts, G, lengths, precision and optimizer; rewards are forced so that every advantage is
nonzero. Each side is a process of its own. They take turns, so that a machine whose speed drifts is as slow
for one as for the other: a step that is not counted, for what the other's turn has pushed out of memory, then
two that are. On a GPU, where both do not fit side by side, they run one after the other. Prints
medians by phase, their ratios, and the ratios turn by turn; writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

PHASES = ("generation", "scoring", "update", "step")
UNCOUNTED, COUNTED = 1, 2  # steps of a turn


@dataclass(frozen=True)
class Shape:
    """A model, a picture and a length."""

    model: str
    pixels: int  # side of the square picture
    max_tokens: int
    precision: str
    prompts: int = 8
    n: int = 8
    checkpointing: bool = False  # of activations, on both sides
    budget: int = 20_000  # our packed positions a pass: all of a step's, as TRL's one batch has
    trl_rows: int | None = None  # TRL's responses a pass; all at once if not given


SHAPES = {
    "short": Shape("2m", 84, 64, "fp32"),
    "geometry3k": Shape("2m", 392, 128, "fp32"),
    "3b": Shape("3b", 532, 256, "bf16", prompts=16, checkpointing=True, budget=8192, trl_rows=8),
}


def make_model(shape: str, out: Path) -> None:
    command = [sys.executable, "benchmarks/speed/random_model.py", "--shape", shape, "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_spec(
    shape: Shape,
    model: Path,
    directory: Path,
    *,
    steps: int,
    n: int | None = None,
    kl: float = 0.0,
    difficult: float = 0.0,
    overrides: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What both sides are told; every step has prompts of its own, as TRL keeps no encoded prompt."""
    random = np.random.default_rng(1)
    problems = []
    for number in range(shape.prompts * steps):
        picture = random.integers(0, 256, (shape.pixels, shape.pixels, 3), dtype=np.uint8)
        Image.fromarray(picture).save(directory / f"{number}.png")
        question = "<image>In the figure, what is the value of x?"
        problems.append({"id": str(number), "question": question, "image": str(directory / f"{number}.png")})
    return {
        "model": str(model),
        "problems": problems,
        "prompts": shape.prompts,
        "n": n or shape.n,
        "max_tokens": shape.max_tokens,
        "forced_lengths": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "kl_coef": kl,
        "lr": 1e-6,
        "precision": shape.precision,
        "steps": steps,
        "min_pixels": shape.pixels**2,
        "max_pixels": shape.pixels**2,
        "checkpointing": shape.checkpointing,
        "budget": shape.budget,
        "trl_microbatch": shape.trl_rows,
        "threads": 1 if shape.precision == "fp32" else (os.cpu_count() or 1),
        "reward": "forced",
        "difficult_share": difficult,
        "overrides": dict(overrides or {}),
    }


def launcher(side: str, ranks: int) -> list[str]:
    if ranks == 1:
        return [sys.executable]
    here = Path(sys.executable)
    if side == "trl":
        return [str(here.with_name("torchrun")), "--nproc_per_node", str(ranks)]
    accelerators = [] if torch.cuda.is_available() else ["--num_accelerators", str(ranks)]
    return [str(here.with_name("deepspeed")), "--log_level", "error", *accelerators]


@contextmanager
def worker(side: str, spec: Path, ranks: int) -> Iterator[Connection]:
    """A trainer in a process of its own, ready to step."""
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    if not torch.cuda.is_available():
        environment["DS_ACCELERATOR"] = "cpu"
    with Listener(("127.0.0.1", 0), authkey=b"benchmark") as listener:
        port = str(listener.address[1])
        command = [*launcher(side, ranks), f"benchmarks/{side}_worker.py", str(spec), port]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            Thread(target=call_when_dead, args=(process, listener.address), daemon=True).start()
            try:
                with listener.accept() as connection:
                    print(f"{side}: {connection.recv()['ready']}", flush=True)
                    yield connection
                    connection.send("stop")
                process.wait(timeout=60)
            finally:
                process.terminate()


def call_when_dead(process: subprocess.Popen[bytes], address: Any) -> None:
    """Answers in a worker's place, in case it ended before it called: whoever waits for it then goes on."""
    process.wait()
    with suppress(OSError), Client(address, authkey=b"benchmark") as connection:
        connection.send({"ready": f"ended with {process.returncode} before its first step"})


def take_step(connection: Connection) -> dict[str, float]:
    connection.send("step")
    answer: dict[str, float] = connection.recv()
    return answer


def turns_of(counted: int) -> list[int]:
    """Counted steps of each turn."""
    return [min(COUNTED, counted - start) for start in range(0, counted, COUNTED)]


def steps_of(counted: int) -> int:
    """All steps that a worker takes."""
    return counted + UNCOUNTED * len(turns_of(counted))


Steps = list[dict[str, float]]
K = TypeVar("K")


def take_turns(workers: Mapping[K, AbstractContextManager[Connection]], counted: int) -> dict[K, list[Steps]]:
    """Counted steps of every turn, by worker: all up together on a CPU, one after the other on a GPU."""
    rows: dict[K, list[Steps]] = {name: [] for name in workers}
    together = [[name] for name in workers] if torch.cuda.is_available() else [list(workers)]
    for names in together:
        with ExitStack() as stack:
            connections = {name: stack.enter_context(workers[name]) for name in names}
            for steps in turns_of(counted):
                for name, connection in connections.items():
                    taken = [take_step(connection) for _ in range(UNCOUNTED + steps)]
                    print(f"{name}: " + ", ".join(f"{step['step']:.2f} s" for step in taken), flush=True)
                    rows[name].append(taken[UNCOUNTED:])
    return rows


def print_table(turns: Mapping[str, Sequence[Steps]]) -> None:
    print(f"{'seconds':>12} " + " ".join(f"{phase:>11}" for phase in PHASES) + f" {'peak GiB':>9}")
    for side, rows in turns.items():
        values = [median_of(rows, phase) for phase in PHASES]
        peak = max(step["peak_gib"] for turn in rows for step in turn)
        print(f"{side:>12} " + " ".join(f"{value:>11.3f}" for value in values) + f" {peak:>9.2f}")
    if len(turns) == 2:
        ratios = [median_of(turns["trl"], phase) / median_of(turns["our"], phase) for phase in PHASES]
        print(f"{'TRL / ours':>12} " + " ".join(f"{ratio:>11.2f}" for ratio in ratios))
        by_turn = [
            median_of([theirs], "step") / median_of([ours], "step")
            for ours, theirs in zip(turns["our"], turns["trl"], strict=True)
        ]
        print("step, turn by turn: " + ", ".join(f"{ratio:.2f}" for ratio in by_turn))


def print_rates(turns: Sequence[Steps], rate: float, ranks: int) -> None:
    """Ours by itself, over all counted steps: of an explored one the next may train on the leftovers."""
    steps = [step for turn in turns for step in turn]
    tokens = sum(step["tokens"] for step in steps) / sum(step["step"] for step in steps)
    print(f"ours: {tokens:.0f} prompt and response tokens of every trajectory a second")
    flops = sum(step["update_flops"] for step in steps) / sum(step["update"] for step in steps) / ranks
    print(f"ours: update at {flops / rate:.0%} of {rate / 1e9:.0f} GFLOP/s, the rate of a large product here")
    print("(6 FLOPs a text weight and unique token: tower and attention left out)")


def matrix_rate() -> float:
    """FLOP/s of the fastest of a few large products: bf16 on a GPU, fp32 and one thread on a CPU."""
    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    size, kind = (8192, torch.bfloat16) if gpu else (1024, torch.float32)
    matrix = torch.randn(size, size, dtype=kind, device="cuda" if gpu else "cpu")
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        product = matrix @ matrix
        float(product[0, 0])  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def median_of(turns: Sequence[Steps], phase: str) -> float:
    return median(step[phase] for turn in turns for step in turn)


def _processor() -> str:
    """As Linux names it; other systems say less."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def machine() -> dict[str, Any]:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    return {
        "device": device,
        "cpus": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(SHAPES), default="geometry3k")
    parser.add_argument("--n", type=int, help="G; the shape's if not given")
    parser.add_argument("--kl", type=float, default=0.0)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument(
        "--difficult", type=float, default=0.0, help="share of prompts that fail and are explored; ours only"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/step.json"))
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="of our config")
    arguments = parser.parse_intermixed_args()
    sides = ["our"] if arguments.ours_only or arguments.difficult else ["our", "trl"]
    with tempfile.TemporaryDirectory() as directory:
        shape, model = SHAPES[arguments.shape], Path(directory) / "model"
        make_model(shape.model, model)
        spec = make_spec(
            shape,
            model,
            Path(directory),
            steps=steps_of(arguments.steps),
            n=arguments.n,
            kl=arguments.kl,
            difficult=arguments.difficult,
            overrides=dict(pair.split("=", 1) for pair in arguments.overrides),
        )
        path = Path(directory) / "spec.json"
        path.write_text(json.dumps(spec), encoding="utf-8")
        turns = take_turns({side: worker(side, path, arguments.ranks) for side in sides}, arguments.steps)
    print_table(turns)
    rate = matrix_rate()
    print_rates(turns["our"], rate, arguments.ranks)
    settings = {name: value for name, value in spec.items() if name not in ("model", "problems")}
    record = {"machine": machine(), "shape": arguments.shape, "ranks": arguments.ranks, "settings": settings}
    record["matrix_flops"] = rate
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({**record, "turns": turns}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
