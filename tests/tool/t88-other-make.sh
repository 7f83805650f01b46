#!/bin/sh
# Proxies of other make, both ways: one is read by its JSON, however it writes it, while its jobs
# run, end and restart and either proxy is killed; and one reads ours. OTHER_SEED plays a run
# again.
. "$(dirname "$0")/../support/lib.sh"
need python3
export BIN WORKER=none PYTHONPATH="$SUPPORT" PYTHONDONTWRITEBYTECODE=1
timeout 250 python3 "$(dirname "$0")/t88-other-make.py" --folder "$TMP/k" \
    --rounds "${OTHER_ROUNDS:-60}" ${OTHER_SEED:+--seed "$OTHER_SEED"} \
    >"$TMP/out" 2>&1 || fail "$(cat "$TMP/out")"
tail -n 1 "$TMP/out"
