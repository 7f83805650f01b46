#!/bin/sh
# Programs built with the address sanitizer run under proxy_run, are counted, and are told of
# their faults as without it; under the tracer they end as under strace.
. "$(dirname "$0")/strace_lib.sh"
need compiler
cat >"$TMP/program.c" <<'C'
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char *volatile bytes = calloc(1, 8);
    for (int i = 0; i < 9; i++)
        if (write(1, bytes, 1) != 1)
            return 2;
    if (argc > 1)
        bytes[8 + atoi(argv[1])] = 1;
    free(bytes);
    return 7;
}
C
"${CC:-cc}" -g -fsanitize=address -o "$TMP/program" "$TMP/program.c" 2>"$TMP/cc" ||
    skip address-sanitizer "$(tail -n 1 "$TMP/cc")"

# ends STATUS COMMAND...
ends() {
    status=$1 got=0
    shift
    timeout 60 "$@" >"$TMP/out" 2>"$TMP/err" || got=$?
    want "status of $*: $(cat "$TMP/err")" $got "$status"
}

export ASAN_OPTIONS=detect_leaks=0
ends 7 "$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- "$TMP/program"
want "what it says" "$(cat "$TMP/err")" ""
want "writes" "$(said posix___hits___write)" 9
ends 1 "$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- "$TMP/program" 1
grep -q 'heap-buffer-overflow' "$TMP/err" || fail "the overflow is not seen"
ends 7 "$BIN/proxy_run" -u "$SOCKET" -j j -e strace,posix -- "$TMP/program"

# The leak checker traces the program from a child that does not want to be traced.
export ASAN_OPTIONS=detect_leaks=1:exitcode=23
got=0
"$TMP/program" >"$TMP/out" 2>"$TMP/err" || got=$?
[ $got = 7 ] || skip leak-sanitizer "it does not work here: $(tail -n 1 "$TMP/err")"
for calls in default all read; do
    ends 23 env MPROXY_STRACE_CALLS=$calls "$BIN/proxy_run" -u "$SOCKET" -j j -e strace -- \
        "$TMP/program"
    grep -q 'does not work under ptrace' "$TMP/err" || fail "no word of ptrace"
done
ends 23 "$tracer" -u "$SOCKET" -j j --calls read --no-affinity -- "$TMP/program"
