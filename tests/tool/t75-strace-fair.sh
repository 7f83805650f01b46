#!/bin/sh
# Busy threads are served in turn; a traced program starts no later than under strace; what
# is called because we count is not counted.
. "$(dirname "$0")/strace_lib.sh"
build_caller

# fair OPTION...: of 20 busy threads the slowest makes at least a third of the mean; where
# others keep the CPUs busy the scheduler may be to blame, so that one try of five is enough.
fair() {
    for _ in 1 2 3 4 5; do
        counted "$@" -- "$calls" busy 20 1000
        want "status" $STATUS 0
        ! awk '{ exit !($1 * 3 >= $2) }' "$TMP/out" || return 0
    done
    fail "$* the slowest thread and the mean: $(cat "$TMP/out")"
}
fair
fair --no-filter
fair --no-affinity

# One thread executes another program while the others are busy: their stops, their ends and
# the leader's new life come together.
for round in 1 2 3 4 5; do
    counted -c default,getppid -- "$calls" busy-execs
    want "after a thread's exec, round $round" "$(hits getppid) $(hits execve)" "1530 2"
done

command -v strace >/dev/null || skip strace "nothing to compare with"

# Reads, writes and the like of a program under proxy_run, with the libraries that it
# preloads, are those of the program alone. Left out is what depends on who asks for memory
# first, on when threads and signals meet, and that posix compares clocks at its start.
varies='^(futex|clock_gettime|brk|getrandom|mmap|munmap|rt_sig[a-z]*|wait4) '
for exporters in strace strace,process,posix; do
    for way in calls threads forks vforks chain; do
        strace_hits "$calls" $way | grep -vE "$varies" >"$TMP/theirs"
        [ -s "$TMP/theirs" ] || skip strace "it can't trace here"
        SOCKET=$TMP/$way$(echo $exporters | wc -c)
        mkdir -m 700 "$(rendezvous "$SOCKET")"
        MPROXY_STRACE_CALLS=all "$BIN/proxy_run" -u "$SOCKET" -e $exporters -- \
            "$calls" $way >/dev/null
        wait_for "the tracer's end" nobody_lives
        all_hits | grep -vE "$varies" >"$TMP/ours"
        diff "$TMP/theirs" "$TMP/ours" >"$TMP/diff" ||
            fail "$way under proxy_run -e $exporters: $(cat "$TMP/diff")"
    done
done

# The shortest of many starts, one of each in turn.
need python3
mkdir -m 700 "$(rendezvous "$TMP/start")"
MPROXY_PRELOAD='' PROXY_PATH=$TMP/start python3 - "$tracer" >"$TMP/starts" <<'PY'
import subprocess, sys, time

def start(command):
    before = time.monotonic()
    subprocess.run(command + ["/bin/true"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - before

kinds = [[sys.argv[1], "--"], ["strace", "-c", "-f"]]
times = [[start(kind) for kind in kinds] for _ in range(60)]
print(*(round(min(kind) * 1e3, 2) for kind in zip(*times)))
PY
awk '{ exit !($1 <= $2) }' "$TMP/starts" ||
    fail "ms to start under the tracer, under strace: $(cat "$TMP/starts")"
