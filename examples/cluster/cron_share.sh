#!/usr/bin/env bash
# One of several machines without a cluster: each computes its share at night, and the first one joins them.
#
#   in the crontab of machine 2 of 4:
#   0 20 * * *  SOURCE=/shared/photos OUT=/shared/features.d /shared/cron_share.sh 2 4
#
# All machines see SOURCE and OUT under the same paths. A machine that was off, or out of time, goes on in its next
# night; until then the first machine finds parts missing, says which, and tries again in its own next night.
set -uo pipefail

: "${SOURCE:?what extract is given}" "${OUT:?the cache, a name that ends in .d}"
number=${1:?the number of this machine, from 1} machines=${2:?how many machines there are}
FEATX=${FEATX:-featx}
HOURS=${HOURS:-10}
TRIES=${TRIES:-12} # how often the first machine looks whether the others have ended
PAUSE=${PAUSE:-600}
read -r -a OPTIONS <<< "${EXTRACT_OPTIONS:-}"

$FEATX extract "$SOURCE" -o "$OUT" --share "$number/$machines" --max-hours "$HOURS" --quiet \
  --log-file "$(dirname "$OUT")/share-$number.log" ${OPTIONS[@]+"${OPTIONS[@]}"}
code=$?
case $code in
  0 | 3) ;;
  12) exit 0 ;;
  *) exit "$code" ;;
esac
[ "$number" -eq 1 ] || exit 0

for ((try = 1; ; try++)); do
  $FEATX join "$OUT" --quiet
  code=$?
  case $code in
    0 | 3) exit 0 ;;
    2 | 11) [ "$try" -lt "$TRIES" ] || exit "$code" ;; # other shares are missing, or at work
    *) exit "$code" ;;
  esac
  sleep "$PAUSE"
done
