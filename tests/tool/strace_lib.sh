# What the tests of the strace exporter share, on top of support/lib.sh.
. "$(dirname "$0")/../support/lib.sh"

tracer=$BIN/proxy_exporter_strace
[ -x "$tracer" ] || skip strace-exporter "it was left out of the build"

# One program, many ways to call the kernel; each way makes a number of calls that it knows.
build_caller() {
    need compiler
    "${CC:-cc}" -O1 -D_GNU_SOURCE -o "$TMP/caller" -x c "$(dirname "$0")/strace_caller.c" \
        -pthread
    calls=$TMP/caller
}

# counted [OPTION...] -- COMMAND...: runs it traced, in a rendezvous of its own; leaves the
# counters to `hits`. Sets STATUS. As under proxy_run, but that nothing is preloaded: the
# exporters' own calls would count as the program's.
counted() {
    number=$((${number:-0} + 1))
    SOCKET=$TMP/$number.socket
    STATUS=0
    mkdir -m 700 "$(rendezvous "$SOCKET")"
    MPROXY_PRELOAD='' PROXY_PATH=$SOCKET PROXY_JOB_ID=j "$tracer" "$@" >"$TMP/out" \
        2>"$TMP/err" || STATUS=$?
    wait_for "the tracer's end" nobody_lives
}

nobody_lives() {
    [ "$(said live)" = 0 ]
}

# hits CALL: as counted last; 0 where it was never called.
hits() {
    n=$(said "strace___hits___$1")
    echo "${n:-0}"
}

# all_hits: lines `CALL N`, sorted.
all_hits() {
    said live >/dev/null
    sed -n 's/^strace___hits___//p' "$TMP/said" | sort
}

# strace_hits COMMAND...: the same, as strace counts.
strace_hits() {
    strace -c -f -U name,calls -o "$TMP/strace" "$@" >/dev/null 2>&1 || :
    awk '/^-/ { table++; next } table == 1 { print $1, $2 }' "$TMP/strace" | sort
}
