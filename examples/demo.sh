#!/usr/bin/env bash
# The demo, step by step: data, Pass@k before, UEC-RL training under ZeRO-3, Pass@k after, report.
# Usage: examples/demo.sh "LAUNCHER AND ITS OPTIONS" [FOLDER PROBLEMS STEPS]
# With the last three, a small one into FOLDER: so many problems in each split, so many steps.
set -euo pipefail

launch=$1
model=assets/tiny-qwen2.5-vl
run=${2:+$2/}runs/demo
data=${2:+$2/}data/synthetic
sizes=(--train "${3:-512}" --validation "${3:-64}" --test "${3:-128}")
settings=(train.run_dir="$run" ${2:+data.path="$data" train.steps="$4"})
sampling=(--data "$data" --split test --n 8 --k 1 4 8 --max-tokens 96 --max-pixels 7056)

rm -rf "$run" "$run-before" "$run-after" "$data"
say() { printf '\n== %s\n' "$*"; }

say "1/5 Drawing geometry problems"
python -m data_prep synthetic --out "$data" --seed 1 "${sizes[@]}" --levels 1 2 3

say "2/5 Pass@k of the model as bundled"
python eval/passk.py --model "$model" "${sampling[@]}" --out "$run-before"

say "3/5 UEC-RL under DeepSpeed ZeRO-3"
$launch train.py --config configs/tiny_cpu.yaml "${settings[@]}"

say "4/5 Pass@k of the trained model"
python eval/passk.py --model "$run/export" "${sampling[@]}" --out "$run-after"

python eval/passk.py --compare "$run-before" "$run-after"

say "5/5 The report, with Pass@k before and after"
python -m vlm_uec.telemetry.report "$run" "$run-before" "$run-after"

say "Done. Open $run/report.html; each answer to the held-out problems: $run-after/index.html"
