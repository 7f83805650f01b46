#!/bin/sh
# What counting a system call costs: untouched; under strace -c -f; under our tracer with the
# default set, with all calls, with all of them timed, without its hold on the CPU and without
# its filter; and in the kernel. For a loop of short reads and for grep over a tree. One line
# of JSON each: the cost a call over the bare program in this run, as part of strace's.
#
# bench_strace.sh BUILD [RUNS]; the best of 5 runs unless told. As root and with
# MPROXY_BENCH_FIFO=1 all runs have real-time priority, which keeps other programs' work out.
set -eu
build=${1:?the build directory} runs=${2:-5}
tracer=$build/bin/proxy_exporter_strace
[ -x "$tracer" ] || { echo "the strace exporter was left out of the build" >&2; exit 0; }
command -v strace >/dev/null || { echo "no strace to compare with" >&2; exit 0; }
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mproxy-bench-XXXXXX")
proxy=
cleanup() {
    # Killed at once it would leave its programs in the kernel.
    [ -z "$proxy" ] || { kill "$proxy" && wait "$proxy"; } 2>/dev/null || :
    rm -rf "$tmp" "/dev/shm/$(printf %s "$tmp" | sed 's,/,%2F,g')"*
}
trap cleanup EXIT
trap 'exit 130' INT TERM
first=
if [ "${MPROXY_BENCH_FIFO:-0}" = 1 ] && chrt -f 20 true 2>/dev/null; then
    first='chrt -f 20'
fi
unset MPROXY_STRACE_CALLS LD_PRELOAD PROXY_JOB_ID

"${CC:-cc}" -O2 -x c -o "$tmp/loop" - <<'C'
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char byte;
    int fd = open("/dev/zero", O_RDONLY);
    for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--)
        if (read(fd, &byte, 1) != 1)
            return 1;
    return 0;
}
C
"${CC:-cc}" -O2 -x c -o "$tmp/timed" - <<'C'
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    if (argc < 2 || (fork() == 0 && (execvp(argv[1], argv + 1), 1)))
        _exit(127);
    wait(NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%.0f\n", (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec));
    return 0;
}
C
# best COMMAND...: nanoseconds of the fastest run.
best() {
    for run in $(seq "$runs"); do
        $first "$tmp/timed" "$@" 2>/dev/null | tail -n 1
    done | sort -n | head -n 1
}
# calls_of COMMAND...: as strace counts.
calls_of() {
    strace -c -f -U name,calls -o "$tmp/calls" "$@" >/dev/null 2>&1 || :
    awk '$1 == "total" { print $2 }' "$tmp/calls"
}
# line PROGRAM WAY NS CALLS: a figure; uses $bare and $strace of the same program.
line() {
    awk -v p="$1" -v w="$2" -v t="$3" -v n="$4" -v bare="$bare" -v strace="$strace" 'BEGIN {
        printf "{\"bench\":\"strace\",\"program\":\"%s\",\"way\":\"%s\",\"calls\":%d,", p, w, n
        printf "\"us_per_call\":%.3f,\"added_us_per_call\":%.3f,", t / n / 1e3, (t - bare) / n / 1e3
        printf "\"of_strace\":%.3f}\n", (strace > bare) ? (t - bare) / (strace - bare) : 0 }'
}

# Starting costs the same whatever is run: it is measured with `true`, and taken away.
start_bare=$(best true) start_strace=$(best strace -c -f -o "$tmp/o" true)
t="$tracer -u $tmp/none -j bench"
start_tracer=$(best $t -- true)
with_ebpf() {
    "$build/bin/proxy-v2" -p 0 --listen 127.0.0.1 -u "$tmp/socket" -t "$tmp/prefix" --ebpf \
        2>"$tmp/log" &
    proxy=$!
    tries=0
    until grep -q "first sampling round" "$tmp/log"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] && kill -0 $proxy || return 1
        sleep 0.1
    done
    grep -q "counted in the kernel" "$tmp/log"
}
# program NAME CALLS COMMAND...
program() {
    name=$1 n=$2
    shift 2
    bare=$(($(best "$@") - start_bare))
    strace=$(($(best strace -c -f -o "$tmp/o" "$@") - start_strace))
    line "$name" bare $bare "$n"
    line "$name" "strace -c -f" $strace "$n"
    line "$name" "tracer, default calls" $(($(best $t -- "$@") - start_tracer)) "$n"
    line "$name" "tracer, all calls" $(($(best $t -c all -- "$@") - start_tracer)) "$n"
    line "$name" "tracer, all timed" $(($(best $t --time-all -- "$@") - start_tracer)) "$n"
    line "$name" "tracer, no affinity" \
        $(($(best $t --no-affinity -- "$@") - start_tracer)) "$n"
    line "$name" "tracer, no filter" $(($(best $t --no-filter -- "$@") - start_tracer)) "$n"
}
# in_kernel NAME CALLS COMMAND...: for a program that ran bare just before.
in_kernel() {
    name=$1 n=$2
    shift 2
    bare=$(cat "$tmp/bare-$name") strace=$(cat "$tmp/strace-$name")
    run="$build/bin/proxy_run -u $tmp/socket -j bench -e strace --"
    line "$name" "eBPF" $(($(best $run "$@") - $(best $run true))) "$n"
    line "$name" "eBPF, of no job" $(($(best "$@") - start_bare)) "$n"
}

short="$tmp/loop 20000" long="$tmp/loop 1000000"
tree="grep -rc zzz /usr/include/linux /usr/include/c++"
program loop 20000 $short
# In the kernel a call costs so little that it takes many of them.
bare=$(($(best $long) - start_bare))
echo $bare >"$tmp/bare-loop"
echo $((strace * 50)) >"$tmp/strace-loop"
calls=$(calls_of $tree)
program grep "$calls" $tree
echo $bare >"$tmp/bare-grep"
echo $strace >"$tmp/strace-grep"
if with_ebpf; then
    in_kernel loop 1000000 $long
    in_kernel grep "$calls" $tree
else
    echo "no eBPF here: $(tail -n 1 "$tmp/log")" >&2
fi
