# What test scripts share. Sourced first: `. "$(dirname "$0")/../support/lib.sh"`.
#
# BIN and LIB are the build tree's. Each script gets a fresh directory $TMP, removed at
# its end together with what runs or lies there; sockets are made there, and nothing of a
# test touches the default ones.
set -eu
unset LD_PRELOAD PROXY_PATH PROXY_JOB_ID PROXY_PERIOD PROXY_ROOT_URL MPROXY_LAUNCHER_ID \
    MPROXY_COMMAND MPROXY_CRASH_AT 2>/dev/null || :
BIN=${BIN:?the directory of the tools}
LIB=${LIB:?the directory of the libraries}
SUPPORT=$(cd "$(dirname "$0")/../support" && pwd)
TMP=$(mktemp -d "${TMPDIR:-/tmp}/mproxy-test-XXXXXX")
SOCKET=$TMP/proxy.socket
PIDS=

# The rendezvous directory of a socket that lies below /tmp: rendezvous SOCKET.
rendezvous() {
    printf '/dev/shm/%s.d\n' "$(printf %s "$1" | sed 's,/,%2F,g')"
}

# Every socket of the test lies in $TMP, so its rendezvous has $TMP in its name.
cleanup() {
    status=$?
    trap - EXIT INT TERM
    for pid in $PIDS; do
        kill -KILL "$pid" 2>/dev/null || :
    done
    rm -rf "$TMP" "/dev/shm/$(printf %s "$TMP" | sed 's,/,%2F,g')"*
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# said WHAT [SOCKET]: what the segments of a socket's rendezvous say: processes, live,
# has_started, has_finished, or a metric. See support/segments.c.
said() {
    "$SEGMENTS" "$(rendezvous "${2:-$SOCKET}")" >"$TMP/said" || fail "no rendezvous"
    awk -v what="$1" '
        substr($0, 1, length(what) + 1) == what " " { print substr($0, length(what) + 2) }
        ' "$TMP/said"
}

# fail TEXT...: ends the test as failed.
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# want TEXT ACTUAL EXPECTED: both must be the same.
want() {
    [ "$2" = "$3" ] || fail "$1: is '$2', should be '$3'"
}

# skip THING WHY, skip_part THING WHY
. "$SUPPORT/skip.sh"

# need THING...: what the test can't do without.
need() {
    for thing; do
        case $thing in
        mpi) need mpich openmpi ;;
        mpich | openmpi)
            command -v "mpiexec.$thing" >/dev/null &&
                command -v "mpicc.$thing" >/dev/null ||
                skip mpi "no mpiexec.$thing and mpicc.$thing"
            ;;
        netns)
            [ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null ||
                skip netns "network namespaces can't be made"
            ;;
        ebpf)
            [ "$(id -u)" = 0 ] || skip ebpf "not root"
            [ -e "$LIB/mproxy/ebpf.so" ] || skip ebpf "it was left out of the build"
            [ -r /sys/kernel/btf/vmlinux ] || skip ebpf "the kernel has no type information"
            ;;
        root) [ "$(id -u)" = 0 ] || skip root "not root" ;;
        compiler) command -v "${CC:-cc}" >/dev/null || skip compiler "no C compiler" ;;
        browser) command -v chromium >/dev/null || skip browser "no chromium" ;;
        *) command -v "$thing" >/dev/null || skip "$thing" "no program of that name" ;;
        esac
    done
}

# wait_for WHAT COMMAND...: until COMMAND succeeds, at most WAIT_SECONDS (default 20).
wait_for() {
    what=$1
    shift
    deadline=$(($(date +%s) + ${WAIT_SECONDS:-20}))
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -le $deadline ] || fail "waited in vain for $what"
        sleep 0.02
    done
}

# now_ms: UNIX time.
now_ms() {
    date +%s%3N
}

# wait_past MS: until that UNIX time has passed, where time itself is what a test is about.
wait_past() {
    while [ "$(now_ms)" -le "$1" ]; do
        sleep 0.02
    done
}

# kill_later PID...: killed at the test's end if still alive.
kill_later() {
    PIDS="$PIDS $*"
}

# start_proxy [OPTION...]: starts proxy-v2 on a free port, with its socket at $SOCKET, its
# prefix below $TMP and a short period. Sets PROXY_PID, URL (http://127.0.0.1:PORT), LOG.
start_proxy() {
    PROXIES=$((${PROXIES:-0} + 1))
    LOG=$TMP/proxy-$PROXIES.log
    "$BIN/proxy-v2" -p 0 --listen 127.0.0.1 -u "$SOCKET" -t "$TMP/prefix" -S 100 \
        "$@" 2>"$LOG" &
    PROXY_PID=$!
    kill_later $PROXY_PID
    wait_for "the proxy's first line ($(cat "$LOG" 2>/dev/null))" proxy_said_url
    URL=http://127.0.0.1:$(sed -n \
        '/^Proxy webserver listening on /{s/.*:\([0-9]*\).*/\1/p;q;}' "$LOG")
}

proxy_said_url() {
    grep -q '^Proxy webserver listening on ' "$LOG" && return
    kill -0 "$PROXY_PID" 2>/dev/null || fail "the proxy ended: $(cat "$LOG")"
    return 1
}

# stop_proxy [SIGNAL]: and waits until it is gone; sets STATUS to its exit status.
stop_proxy() {
    kill -"${1:-TERM}" "$PROXY_PID"
    STATUS=0
    wait "$PROXY_PID" || STATUS=$?
}

# get PATH: the body of a reply of the proxy.
get() {
    curl -sS --fail-with-body --max-time 20 "$URL$1"
}

# stored JOB: whether its profile has been written; until then a provisional one is answered,
# which knows of no ranks.
stored() {
    get "/profiles/get?jobid=$1" >"$TMP/stored" && ! grep -q '"provisional":true' "$TMP/stored"
}

# value METRIC [JOB]: a metric's value in the text exposition of a job (default: main).
value() {
    get "/metrics${2:+?job=$2}" | awk -v name="$1" '
        substr($0, 1, length(name) + 1) == name " " { print $NF; found = 1 }
        END { exit !found }'
}

# compile OUT FILE [FLAG...]: a test program in $TMP that links the client library.
compile() {
    out=$1 file=$2
    shift 2
    "${CC:-cc}" -O2 -g -D_GNU_SOURCE -I"$SUPPORT/../../include" -o "$out" "$file" "$@" \
        -L"$LIB" -Wl,-rpath,"$LIB" -lmproxy_client -pthread
}
