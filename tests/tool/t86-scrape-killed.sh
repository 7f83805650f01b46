#!/bin/sh
# The proxy is killed at random, and at its crash points, while counters of targets restart,
# come and go: none shown steps back or counts twice. SCRAPE_SEED plays a run again.
. "$(dirname "$0")/../support/lib.sh"
need python3
export BIN WORKER=none PYTHONPATH="$SUPPORT" PYTHONDONTWRITEBYTECODE=1
grep -q MPROXY_CRASH_AT "$LIB/libmproxy.so" || set -- --no-hooks
python3 "$(dirname "$0")/t86-scrape-killed.py" --folder "$TMP/k" \
    --rounds "${SCRAPE_ROUNDS:-200}" ${SCRAPE_SEED:+--seed "$SCRAPE_SEED"} "$@" \
    >"$TMP/out" 2>&1 || fail "$(cat "$TMP/out")"
tail -n 1 "$TMP/out"
