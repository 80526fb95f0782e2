#!/usr/bin/env bash
# One share of an extraction, as a task of a Slurm array. slurm_submit.sh submits all of them and the end.
#
#   SOURCE=/data/photos OUT=/data/features.d SHARES=40 sbatch --array=0-39 slurm_share.sh
#
# SOURCE and OUT are on a disk that all nodes see. A task that is preempted, killed or out of time goes on where it
# was when it runs again; only those tasks need to be submitted again: sbatch --array=3,17 slurm_share.sh
#SBATCH --job-name=featx
#SBATCH --cpus-per-task=4
#SBATCH --mem=6G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=featx-%A_%a.out
set -euo pipefail

: "${SOURCE:?what extract is given}" "${OUT:?the cache, a name that ends in .d}" "${SHARES:?how many tasks there are}"
: "${SLURM_ARRAY_TASK_ID:?the number of this task, from 0}"
FEATX=${FEATX:-featx}
HOURS=${HOURS:-7.5} # less than --time, so that featx ends by itself
read -r -a OPTIONS <<< "${EXTRACT_OPTIONS:-}"

code=0
$FEATX extract "$SOURCE" -o "$OUT" --share "$((SLURM_ARRAY_TASK_ID + 1))/$SHARES" --max-hours "$HOURS" --quiet \
  --progress-file "progress-$SLURM_ARRAY_TASK_ID.json" ${OPTIONS[@]+"${OPTIONS[@]}"} || code=$?

case $code in
  3) exit 0 ;; # some images cannot be used; featx join names them all
  12) exec scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" ;;
  *) exit "$code" ;;
esac
