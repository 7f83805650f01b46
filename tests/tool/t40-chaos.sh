#!/bin/sh
# Programs, clients and proxies that come, count and are killed at random: profiles and main
# are exact. A failure says how to play its round again: see t40-chaos.py.
. "$(dirname "$0")/../support/lib.sh"
need compiler python3
compile "$TMP/worker" "$SUPPORT/chaos/worker.c"
export BIN WORKER="$TMP/worker" PYTHONDONTWRITEBYTECODE=1
grep -q MPROXY_CRASH_AT "$LIB/libmproxy.so" || set -- --no-hooks
python3 "$(dirname "$0")/t40-chaos.py" --folder "$TMP/c" --seconds "${CHAOS_SECONDS:-25}" \
    ${CHAOS_SEED:+--seed "$CHAOS_SEED"} "$@" >"$TMP/out" 2>&1 || fail "$(cat "$TMP/out")"
tail -n 1 "$TMP/out"
