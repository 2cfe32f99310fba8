#!/usr/bin/env bash
# The demo, step by step: data, Pass@k before, UEC-RL training under ZeRO-3, Pass@k after, report.
# Usage: examples/demo.sh "LAUNCHER AND ITS OPTIONS" [FOLDER PROBLEMS STEPS]
# The optional arguments run a smaller demo in FOLDER, with PROBLEMS problems per split and STEPS steps.
set -euo pipefail

launch=$1
model=assets/tiny-qwen2.5-vl
run=${2:+$2/}runs/demo
data=${2:+$2/}data/synthetic
sizes=(--train "${3:-2048}" --validation "${3:-64}" --test "${3:-128}")
settings=(train.run_dir="$run" ${2:+data.path="$data" train.steps="$4"})
sampling=(--data "$data" --split test --n 8 --k 1 4 8 --max-tokens 96 --max-pixels 7056)

rm -rf "$run" "$run-before" "$run-after" "$data"
heading() { printf '\n== %s\n' "$*"; }

heading "1/5 Generating geometry problems"
python -m data_prep synthetic --out "$data" --seed 1 "${sizes[@]}" --levels 1 2 3

heading "2/5 Pass@k of the bundled model"
python eval/passk.py --model "$model" "${sampling[@]}" --out "$run-before"

heading "3/5 UEC-RL under DeepSpeed ZeRO-3"
$launch train.py --config configs/tiny_cpu.yaml "${settings[@]}"

heading "4/5 Pass@k of the trained model"
python eval/passk.py --model "$run/export" "${sampling[@]}" --out "$run-after"

python eval/passk.py --compare "$run-before" "$run-after"

heading "5/5 Report with Pass@k before and after"
python -m vlm_uec.telemetry.report "$run" "$run-before" "$run-after"

heading "Done. Open $run/report.html; responses to the held-out problems: $run-after/index.html"
