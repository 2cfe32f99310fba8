#!/usr/bin/env bash
# UEC-RL of real pretrained weights, step by step: word problems, Pass@k before, training, Pass@k after, report.
# Usage: [MODEL=DIRECTORY_OR_HUB_NAME] [RUN=FOLDER] [LAUNCH=LAUNCHER] examples/real_weights.sh [dotted.key=value …]
# MODEL is any Qwen2.5 text model; its weights come from the Hub if it is not a directory. The launcher's default is
# two CPU ranks. The arguments are settings of train.py, for example train.steps=40.
set -euo pipefail

model=${MODEL:-Qwen/Qwen2.5-0.5B-Instruct}
run=${RUN:-runs/real_weights}
data=$run-data
export OMP_NUM_THREADS=1
if [ -z "${LAUNCH:-}" ]; then
  export DS_ACCELERATOR=cpu
  LAUNCH="deepspeed --log_level error --num_accelerators 2"
fi
sampling=(--data "$data" --split test --samples 8 --k 1 4 8 --max-tokens 48 --slots 16)
sampling+=(--template '{{ question }} Reply with the number in \boxed{}.')

rm -rf "$run" "$run-before" "$run-after" "$data"
heading() { printf '\n== %s\n' "$*"; }

heading "1/5 Writing word problems"
python examples/word_problems.py "$data"

heading "2/5 Pass@k of $model"
$LAUNCH eval/passk.py --model "$model" "${sampling[@]}" --out "$run-before"

heading "3/5 UEC-RL under DeepSpeed ZeRO-3"
$LAUNCH train.py --config examples/real_weights.yaml model.path="$model" data.path="$data" train.run_dir="$run" "$@"

heading "4/5 Pass@k of the trained model"
$LAUNCH eval/passk.py --model "$run/export" "${sampling[@]}" --out "$run-after"

python eval/passk.py --compare "$run-before" "$run-after"

heading "5/5 Report with Pass@k before and after"
python -m vlm_uec.telemetry.report "$run" "$run-before" "$run-after"

heading "Done. Open $run/report.html; responses to the held-out problems: $run-after/index.html"
