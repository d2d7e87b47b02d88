#!/usr/bin/env bash
# A dask cluster of a lab's workstations over ssh, for one run; it ends with the run. See docs/clusters.md.
#   configs/cluster/workstations.sh "one:7 two:8" gastric /lab/slides --out /lab/results
# Every host has /lab (the same disk) with wsipipe installed in /lab/.venv, and takes ssh without a password.
set -euo pipefail
hosts=$1 && shift
lab=${LAB:-/lab}
file=$lab/scheduler-$$.json
started=()
trap 'kill "${started[@]}" 2> /dev/null || true; rm -f "$file"' EXIT

"$lab/.venv/bin/dask" scheduler --scheduler-file "$file" --no-dashboard & started+=($!)
for host in $hosts; do   # -tt: the workers end when their ssh does
    ssh -tt "${host%:*}" "OMP_NUM_THREADS=1 $lab/.venv/bin/dask worker --scheduler-file $file \
        --nworkers ${host#*:} --nthreads 1 --no-dashboard" < /dev/null & started+=($!)
done
until [ -f "$file" ]; do kill -0 "${started[0]}"; sleep 0.2; done   # a scheduler that did not start ends this too
"$lab/.venv/bin/wsipipe" run "$@" --scheduler "$file"
