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

# A proxy_run beside which there is no other exporter, whose own calls would count; in $run.
build_alone() {
    mkdir -p "$TMP/alone/bin" "$TMP/alone/lib"
    cp "$BIN/proxy_run" "$TMP/alone/bin/"
    ln -s "$tracer" "$TMP/alone/lib/libmetricproxy-exporter-strace.tool"
    run="$TMP/alone/bin/proxy_run -u $SOCKET -e strace"
}

# profile JOB: lines `METRIC VALUE` of a job that has ended, in $TMP/profile.
profile() {
    wait_for "the profile of $1" stored "$1"
    get "/profiles/get?jobid=$1" | python3 -c 'import json, sys
for c in json.load(sys.stdin)["counters"]:
    v = c["ctype"].get("Counter", {}).get("value")
    if v is not None: print(c["name"], int(v) if v == int(v) else v)' |
        sort >"$TMP/profile"
}

# metric NAME: of the profile that was read last.
metric() {
    sed -n "s/^$1 //p" "$TMP/profile"
}
