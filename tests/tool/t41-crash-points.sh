#!/bin/sh
# The proxy is killed at every crash point there is, that is MPX_CRASH_POINT in the library;
# what it stores when it is back is exact.
. "$(dirname "$0")/../support/lib.sh"
need compiler python3
grep -q MPROXY_CRASH_AT "$LIB/libmproxy.so" ||
    skip hooks "the library was built without MPROXY_TEST_HOOKS"
compile "$TMP/worker" "$SUPPORT/chaos/worker.c"
export BIN WORKER="$TMP/worker" PYTHONDONTWRITEBYTECODE=1
python3 "$(dirname "$0")/t41-crash-points.py" "$TMP/c" "$@" >"$TMP/out" 2>&1 ||
    fail "$(cat "$TMP/out")"
cat "$TMP/out"
