"""The entropy study: compares GRPO, DAPO, an entropy bonus, UEC, and UEC without each of its parts.

    python benchmarks/study/entropy_study.py --out runs/entropy_study

Makes a base model and problems (lib/study/base.py and tasks.py), trains every arm with every seed up to the
same number of sampled tokens, measures how training on each source changes entropy (study/probe.py), prints
the tables, and writes study.json and figures. An interrupted study resumes with the same command. By default
one run per core or GPU trains at a time; five seeds take some hours on two cores.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.machine import machine_info
from benchmarks.lib.study.arms import ARMS, SETTINGS, Inputs, study_runs, training
from benchmarks.lib.study.base import make_base, make_data
from benchmarks.lib.study.comparisons import comparisons, comparisons_during_training
from benchmarks.lib.study.figures import draw_figures
from benchmarks.lib.study.final_scores import final_scores
from benchmarks.lib.study.job_pool import default_parallel_jobs, run_all
from benchmarks.lib.study.probe_effects import effects_by_source
from benchmarks.lib.study.probe_jobs import probe_all
from benchmarks.lib.study.results import K, as_records, read_result
from benchmarks.lib.study.settings import record_settings
from benchmarks.lib.study.tables import tables
from vlm_uec.cli import exit_code_of
from vlm_uec.io.digest import file_sha256
from vlm_uec.io.strict_json import to_json

TOKENS = 1_000_000
COMPARED_DURING_TRAINING = ("UEC", "UEC, no retention")  # with GRPO


def prepare(out: Path) -> tuple[Path, Path]:
    """Makes the base model and the data, unless they exist."""
    model, data = out / "base", out / "data"
    if not (data / "manifest.json").exists():
        make_data(data)
    if not (model / "model.safetensors").exists():
        make_base(model)
    return model, data


def base_scores(model: Path, data: Path, out: Path) -> dict[str, float]:
    """The base model's Pass@1 and Pass@K on the validation problems."""
    if not (out / "summary.json").exists():
        options = ["--split", "validation", "--samples", str(K), "--k", "1", str(K), "--max-tokens", "64"]
        pixels = ["--min-pixels", "3136", "--max-pixels", "7056", "--template", "{{ question }}", "--resume"]
        paths = ["--model", str(model), "--data", str(data), "--out", str(out)]
        subprocess.run([sys.executable, "eval/passk.py", *paths, *options, *pixels], check=True)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    scores = next(iter(summary["scores"].values()))
    return {"pass_1": scores["pass@1"]["value"], "pass_k": scores[f"pass@{K}"]["value"]}


def starting_files(model: Path, data: Path) -> list[Path]:
    """The files that every run starts from."""
    return [model / "model.safetensors", *sorted(data.glob("*.parquet"))]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/entropy_study"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument(
        "--tokens", type=int, default=TOKENS, help="response tokens sampled by each run (%(default)s)"
    )
    parser.add_argument(
        "--jobs", type=int, default=default_parallel_jobs(), help="runs in parallel (%(default)s)"
    )
    parser.add_argument("--probes", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="passed to every run")
    return parser.parse_intermixed_args()


def study(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{(time.monotonic() - started) / 60:6.1f} min  {line}", flush=True)

    # SIGTERM also ends the runs; they resume from their checkpoints.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    settings = [*SETTINGS, *arguments.overrides]
    record_settings(out / "settings.json", settings)
    model, data = prepare(out)
    report("base model and data are ready")
    base = base_scores(model, data, out / "base_passk")
    inputs = Inputs(model, data, arguments.tokens, tuple(arguments.overrides))
    runs = study_runs(out, arguments.arms, arguments.seeds)
    run_all([training(run, inputs) for run in runs], arguments.jobs, report)
    results = [read_result(run) for run in runs]
    probes = (
        probe_all(out / "probes", inputs, arguments.seeds, arguments.jobs, report) if arguments.probes else []
    )
    finals = final_scores(runs, inputs, out / "finals", arguments.jobs, report)
    compared = comparisons(results, arguments.arms, base)
    for arm in COMPARED_DURING_TRAINING:
        compared |= comparisons_during_training(results, arm, arguments.tokens, base)
    record = {
        "machine": machine_info() | {name: version(name) for name in ("transformers", "deepspeed")},
        "ingredients": {path.name: file_sha256(path) for path in starting_files(model, data)},
        "settings": settings,
        "arms": {arm: ARMS[arm] for arm in arguments.arms},
        "tokens": arguments.tokens,
        "seeds": arguments.seeds,
        "base": base,
        "comparisons": compared,
        "pushes": effects_by_source(probes),
        "finals": finals,
        "runs": as_records(results),
        "probes": probes,
    }
    print("\n" + "\n".join(tables(record)))
    (out / "study.json").write_text(to_json(record) + "\n", encoding="utf-8")
    for path in draw_figures(runs, base, out / "figures"):
        report(str(path))


def main() -> int:
    arguments = parse_arguments()
    return exit_code_of(lambda: study(arguments))


if __name__ == "__main__":
    sys.exit(main())
