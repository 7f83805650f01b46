#!/bin/sh
# Threads, forks, clones, execs, handlers, thousands of short processes: profiles and main
# say exactly what was counted, also when the proxy is killed in the middle.
. "$(dirname "$0")/../support/lib.sh"
need compiler python3
compile "$TMP/worker" "$SUPPORT/chaos/worker.c"
export BIN WORKER="$TMP/worker" PYTHONDONTWRITEBYTECODE=1
python3 "$(dirname "$0")/t30-exact.py" "$TMP/c"
