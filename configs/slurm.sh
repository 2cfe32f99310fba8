#!/bin/bash
# Training run on all nodes of a Slurm job, one launcher per node:
#   sbatch --nodes 2 --gpus-per-node 8 configs/slurm.sh CONFIG.yaml [dotted.key=value …]
# Submit it from the repository root, with the environment active; train.run_dir must be on a shared file system.
#SBATCH --job-name=vlm-uec
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

hosts=(${SLURM_JOB_NODELIST:+$(scontrol show hostnames "$SLURM_JOB_NODELIST")})
gpus=${SLURM_GPUS_ON_NODE:-$(nvidia-smi --list-gpus | wc -l)}
hostfile=$PWD/.hostfile.$SLURM_JOB_ID
printf "%s slots=$gpus\n" "${hosts[@]}" > "$hostfile"
trap 'rm -f "$hostfile"' EXIT

# Five minutes before the time limit. Only the ranks get SIGTERM: the launcher would kill them 30 seconds later.
stop_and_requeue() {
  srun --overlap --nodes="$SLURM_NNODES" --ntasks-per-node=1 pkill -TERM -f -- 'train.py --local_rank=' || true
  wait "$launchers" || true
  scontrol requeue "$SLURM_JOB_ID"
}
trap stop_and_requeue USR1

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}
srun --nodes="$SLURM_NNODES" --ntasks-per-node=1 bash -c '
  exec deepspeed --hostfile "$0" --no_ssh --node_rank "$SLURM_NODEID" --master_addr "$1" --master_port "$2" \
    train.py --config "${@:3}" resume=auto
' "$hostfile" "${hosts[0]}" "$((20000 + SLURM_JOB_ID % 20000))" "$@" &
launchers=$!
wait "$launchers"
