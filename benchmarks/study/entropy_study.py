"""Does entropy control work, and when? GRPO, DAPO, an entropy bonus, UEC and UEC without each of its parts.

    python benchmarks/study/entropy_study.py --out runs/entropy_study

Makes a base model and problems (lib/study/base.py and tasks.py), trains every arm with every seed until
it has sampled as many tokens as the others, probes which way each source pushes entropy (study/probe.py),
prints the tables, and writes study.json and figures. An interrupted study resumes with the same command.
As many runs train at a time as there are cores or GPUs; five seeds take two cores some hours.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

from benchmarks.lib.study.base import make_base, make_data
from benchmarks.lib.study.figures import draw
from benchmarks.lib.study.results import (
    PASSES,
    K,
    Outcome,
    estimate,
    of_arm,
    outcome_of,
    paired,
    paired_at,
    record,
    relative_gain,
)
from benchmarks.lib.study.runs import ARMS, MATCHED, SETTINGS, Inputs, places, run_all, study_runs, training
from benchmarks.speed.step import machine
from benchmarks.study.finals import final_scores
from benchmarks.study.probe import by_source, probe_all
from benchmarks.study.tables import tables
from vlm_uec.cli import exit_code_of
from vlm_uec.errors import UserError
from vlm_uec.io.strict_json import to_json

TOKENS = 1_000_000
FOLLOWED = ("UEC", "UEC, no retention")  # compared with GRPO on the way as well


def prepare(out: Path) -> tuple[Path, Path]:
    """Base model and data, made once."""
    model, data = out / "base", out / "data"
    if not (data / "manifest.json").exists():
        make_data(data)
    if not (model / "model.safetensors").exists():
        make_base(model)
    return model, data


def base_scores(model: Path, data: Path, out: Path) -> dict[str, float]:
    """The base model's Pass@1 and Pass@K on the problems that runs are validated on."""
    if not (out / "summary.json").exists():
        options = ["--split", "validation", "--samples", str(K), "--k", "1", str(K), "--max-tokens", "64"]
        pixels = ["--min-pixels", "3136", "--max-pixels", "7056", "--template", "{{ question }}", "--resume"]
        places = ["--model", str(model), "--data", str(data), "--out", str(out)]
        subprocess.run([sys.executable, "eval/passk.py", *places, *options, *pixels], check=True)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    scores = next(iter(summary["scores"].values()))
    return {"pass_1": scores["pass@1"]["value"], "pass_k": scores[f"pass@{K}"]["value"]}


def comparisons(outcomes: Sequence[Outcome], arms: Sequence[str], base: dict[str, float]) -> dict[str, Any]:
    """Differences to GRPO, paired by seed; gains over the base model; what is left of the entropy."""
    told: dict[str, Any] = {}
    for arm, other in product(arms, arms):
        if arm != other and other in ("GRPO", MATCHED.get(arm)):
            told[f"{arm} - {other}"] = {
                name: vars(paired(outcomes, arm, other, name)) for name in ("pass_1", "pass_k")
            }
            told[f"gain of {arm} / gain of {other}"] = relative_gain(outcomes, arm, other, base["pass_1"])
    for arm in arms:
        first, last = (of_arm(outcomes, arm, f"entropy_{end}") for end in ("first", "last"))
        told[f"{arm}: entropy, last / first"] = vars(
            estimate([last[seed] / first[seed] for seed in sorted(first)])
        )
        for what in PASSES:
            found = [p for one in outcomes if one.arm == arm and (p := one.predictions[what]) is not None]
            if found:
                told[f"{arm}: predicted and measured entropy change, {what}s"] = {
                    name: vars(estimate([getattr(one, name) for one in found]))
                    for name in ("correlation", "size")
                }
    return told


def on_the_way(outcomes: Sequence[Outcome], arm: str, tokens: int, base: dict[str, float]) -> dict[str, Any]:
    """`arm` - GRPO, paired by seed: at equal sampled tokens, and at equal steps, as the paper counts."""
    told: dict[str, Any] = {}
    both = [one for one in outcomes if one.arm in ("GRPO", arm)]
    if len({one.arm for one in both}) < 2:
        return told
    steps = min(one.steps for one in both)
    places = [("tokens", tokens * share) for share in (0.25, 0.5, 0.75)] + [("step", steps)]
    for axis, place in places:
        found = paired_at(both, (arm, "GRPO"), axis, place, base)
        name = f"{arm} - GRPO at {place:,.0f} {axis if axis == 'tokens' else 'steps'}"
        told[name] = {number: vars(found[number]) for number in found}
    return told


def keep_settings(path: Path, settings: Sequence[str]) -> None:
    """Writes them down; raises `UserError` where a study of other ones was begun there."""
    told = to_json({"settings": list(settings)}) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != told:
        raise UserError(f"{path}: a study of other settings; give --out another directory")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(told, encoding="utf-8")


def ingredients(model: Path, data: Path) -> dict[str, str]:
    """SHA-256 of what every run starts from, by name."""
    files = [model / "model.safetensors", *sorted(data.glob("*.parquet"))]
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in files}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/entropy_study"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--tokens", type=int, default=TOKENS, help="sampled by each run (%(default)s)")
    parser.add_argument("--jobs", type=int, default=places(), help="runs at a time (%(default)s)")
    parser.add_argument("--probes", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="passed to every run")
    return parser.parse_intermixed_args()


def study(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{(time.monotonic() - started) / 60:6.1f} min  {line}", flush=True)

    # So that a kill ends the runs as well; they go on from their checkpoints.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    settings = [*SETTINGS, *arguments.overrides]
    keep_settings(out / "settings.json", settings)
    model, data = prepare(out)
    say("base model and data are there")
    base = base_scores(model, data, out / "base_passk")
    inputs = Inputs(model, data, arguments.tokens, tuple(arguments.overrides))
    runs = study_runs(out, arguments.arms, arguments.seeds)
    run_all([training(run, inputs) for run in runs], arguments.jobs, say)
    outcomes = [outcome_of(run) for run in runs]
    probes = (
        probe_all(out / "probes", inputs, arguments.seeds, arguments.jobs, say) if arguments.probes else []
    )
    finals = final_scores(runs, inputs, out / "finals", arguments.jobs, say)
    told = comparisons(outcomes, arguments.arms, base)
    for arm in FOLLOWED:
        told |= on_the_way(outcomes, arm, arguments.tokens, base)
    result = {
        "machine": machine() | {name: version(name) for name in ("transformers", "deepspeed")},
        "ingredients": ingredients(model, data),
        "settings": settings,
        "arms": {arm: ARMS[arm] for arm in arguments.arms},
        "tokens": arguments.tokens,
        "seeds": arguments.seeds,
        "base": base,
        "comparisons": told,
        "pushes": by_source(probes),
        "finals": finals,
        "runs": record(outcomes),
        "probes": probes,
    }
    print("\n" + "\n".join(tables(result)))
    (out / "study.json").write_text(to_json(result) + "\n", encoding="utf-8")
    for path in draw(runs, base, out / "figures"):
        say(str(path))


def main() -> int:
    arguments = parse_arguments()
    return exit_code_of(lambda: study(arguments))


if __name__ == "__main__":
    sys.exit(main())
