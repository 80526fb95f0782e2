#!/usr/bin/env bash
# A Dask cluster of machines with a shared folder: pip install 'featx[cluster]' on each of them, the same versions.
#
#   on one machine:      dask_cluster.sh scheduler
#   on each machine:     dask_cluster.sh worker tcp://HOST:8786
#   where you work:      featx extract SOURCE -o features.d --backend dask --scheduler tcp://HOST:8786
#                        featx score model.featx INBOX -o scores.csv --backend dask --scheduler tcp://HOST:8786
#
# Workers may come and go while a run is at work. In a cluster that others can reach, use TLS:
# https://distributed.dask.org/en/stable/tls.html
set -euo pipefail

role=${1:?scheduler or worker}
PORT=${PORT:-8786}
DASK=${DASK:-dask}
case $role in
  scheduler)
    exec $DASK scheduler --port "$PORT" --no-dashboard
    ;;
  worker)
    # One process with one thread: the network uses all cores by itself. Dask's own memory limit would
    # restart a worker whose memory TensorFlow holds on purpose, so the operating system's limit counts.
    exec $DASK worker "${2:?the address of the scheduler, tcp://HOST:8786}" --nworkers 1 --nthreads 1 \
      --memory-limit 0 --no-dashboard --death-timeout 600 --local-directory "${TMPDIR:-/tmp}"
    ;;
  *)
    echo "dask_cluster.sh: $role is no role; expected scheduler or worker" >&2
    exit 2
    ;;
esac
