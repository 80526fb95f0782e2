#!/usr/bin/env bash
# A nightly run for cron or a systemd timer: bring a cache up to date, score an inbox, and act by exit codes.
#
#   PHOTOS=/data/photos INBOX=/data/inbox MODEL=/data/model.featx PLACE=/data/nightly nightly.sh
#
#   15 22 * * *  PHOTOS=… INBOX=… MODEL=… PLACE=… /opt/featx/nightly.sh
#
# PLACE gets features.h5, scores.csv, progress-….json and a log for each day. The exit code is 0 when the night did
# what it should, also when it goes on tomorrow; else it is that of featx (docs/operating.md says what to do then),
# and NOTIFY, a command, is called with a sentence. Nothing is deleted here, and nothing is overwritten unasked.
set -uo pipefail

: "${PHOTOS:?the folder whose features are cached}" "${INBOX:?the folder that is scored}"
: "${MODEL:?a model that featx fit made}" "${PLACE:?the folder for what the night makes}"
FEATX=${FEATX:-featx}            # the command, also with arguments: python -m featx
HOURS=${HOURS:-8}                # for each of the two steps
TRIES=${TRIES:-3}                # how often a step is tried when the disk or the network fails
PAUSE=${PAUSE:-300}              # seconds between two tries
NOTIFY=${NOTIFY:-}               # a command that gets the sentence as its last argument
read -r -a EXTRACT <<< "${EXTRACT_OPTIONS:---prune}"
read -r -a SCORE <<< "${SCORE_OPTIONS:-}"

mkdir -p "$PLACE" || exit 6
LOG="$PLACE/$(date +%F).log"
worst=0

say() { printf '%s nightly[%d] %s\n' "$(date +%Y-%m-%dT%H:%M:%S%z)" "$$" "$*" | tee -a "$LOG" >&2; }

fail() { # fail CODE SENTENCE
  say "$2"
  [ "$worst" -ne 0 ] || worst=$1
  if [ -n "$NOTIFY" ]; then $NOTIFY "featx: $2 Log: $LOG" || say "NOTIFY failed."; fi
  return 0
}

step() { # step NAME ARGUMENTS...: run a command of featx, and act by its exit code
  local name=$1 try code=1
  for ((try = 1; try <= TRIES; try++)); do
    # shellcheck disable=SC2094 # both only add to the log
    $FEATX "$@" --quiet --max-hours "$HOURS" --log-file "$LOG" \
      --progress-file "$PLACE/progress-$name.json" >> "$LOG" 2> "$PLACE/stderr-$name.txt" &
    child=$!
    wait "$child"
    code=$?
    while kill -0 "$child" 2> /dev/null; do # a signal, passed on below, interrupts only the waiting
      wait "$child"
      code=$?
    done
    if [ "$code" -ne 6 ] || [ "$try" -eq "$TRIES" ]; then break; fi
    say "$name: the disk or the network failed; once more in $PAUSE s."
    sleep "$PAUSE"
  done
  case $code in
    0) say "$name: done." ;;
    3) say "$name: done; some images could not be used, the log names them." ;;
    12) say "$name: the time is over; it goes on in the next night." ;;
    11) say "$name: another run is at work; nothing to do." ;;
    2) fail "$code" "$name: wrong options or nothing to work on." ;;
    4) fail "$code" "$name: a file is damaged, or too many images are. Look with: featx verify" ;;
    5) fail "$code" "$name: other settings or weights than before; decide which are meant." ;;
    6) fail "$code" "$name: the disk or the network failed $TRIES times." ;;
    7 | 137) fail "$code" "$name: not enough memory. Give --batch 8, or more memory." ;;
    130 | 143) fail "$code" "$name: somebody stopped it. It goes on when it runs again." && exit "$code" ;;
    *) fail "$code" "$name: exit code $code, which should not be." ;;
  esac
}

child=
trap '[ -z "$child" ] || kill -TERM "$child" 2> /dev/null' TERM INT

step extract "$PHOTOS" -o "$PLACE/features.h5" ${EXTRACT[@]+"${EXTRACT[@]}"}
step score "$MODEL" "$INBOX" -o "$PLACE/scores.csv" --update ${SCORE[@]+"${SCORE[@]}"}
exit "$worst"
