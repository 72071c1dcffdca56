#!/bin/bash
# A search under Slurm that goes on after preemption or at the end of its time:
#
#   sbatch docker/slurm.sh CONFIG FOLDER [OPTION...]
#
# FOLDER is on a disk that all hosts see. A minute before the limit, and when the job is preempted, Slurm
# sends SIGTERM; taper finishes its step, saves and exits with 3, and the job is put into the queue again.
#SBATCH --job-name=taper
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append
set -u
[ $# -ge 2 ] || { sed -n '4s/^# *//p' "$0" >&2; exit 2; }
config=$1 folder=$2
shift 2

# In a container instead (enroot/pyxis): srun --container-image=taper:cuda --container-mounts="$folder" ...
srun --kill-on-bad-exit=1 taper run "$config" --out "$folder" "$@"
code=$?
[ $code -ne 3 ] || exec scontrol requeue "$SLURM_JOB_ID"
exit $code
