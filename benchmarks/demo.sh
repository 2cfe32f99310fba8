#!/usr/bin/env bash
# The demo, step by step: data, Pass@k before, UEC-RL training under ZeRO-3, Pass@k after, report.
# Usage: benchmarks/demo.sh "LAUNCHER AND ITS OPTIONS"
set -euo pipefail

launch=$1
model=assets/tiny-qwen2.5-vl
run=runs/demo
sampling=(--data data/synthetic --split test --n 8 --k 1 4 8 --max-tokens 96)

rm -rf "$run" "$run-before" "$run-after" data/synthetic
say() { printf '\n== %s\n' "$*"; }

say "1/5 Drawing geometry problems"
python -m data_prep synthetic --out data/synthetic --seed 1 --train 512 --validation 64 --test 128 --levels 1 2 3

say "2/5 Pass@k of the model as bundled"
python eval/passk.py --model "$model" "${sampling[@]}" --out "$run-before"

say "3/5 UEC-RL under DeepSpeed ZeRO-3"
$launch train.py --config configs/tiny_cpu.yaml train.run_dir="$run"

say "4/5 Pass@k of the trained model"
python eval/passk.py --model "$run/export" "${sampling[@]}" --out "$run-after"

python eval/passk.py --compare "$run-before" "$run-after"

say "5/5 The report, with Pass@k before and after"
python -m vlm_uec.telemetry.report "$run" "$run-before" "$run-after"

say "Done. Open $run/report.html; each answer to the held-out problems: $run-after/index.html"
