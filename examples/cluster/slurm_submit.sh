#!/usr/bin/env bash
# Submit an extraction as a Slurm array, and the job that joins it when all tasks have ended well.
#
#   SOURCE=/data/photos OUT=/data/features.d SHARES=40 slurm_submit.sh
set -euo pipefail

: "${SOURCE:?what extract is given}" "${OUT:?the cache, a name that ends in .d}"
export SOURCE OUT SHARES="${SHARES:-40}"
FEATX=${FEATX:-featx}
here=$(cd "$(dirname "$0")" && pwd)

array=$(sbatch --parsable --export=ALL --array="0-$((SHARES - 1))" "$here/slurm_share.sh")
# Exit code 3 says that images were skipped: the cache is complete all the same.
sbatch --parsable --export=ALL --job-name=featx-join --mem=8G --time=02:00:00 --dependency="afterok:${array%%;*}" \
  --wrap "$FEATX join $(printf %q "$OUT") --quiet; code=\$?; [ \$code -ne 3 ] || exit 0; exit \$code"
