#!/bin/sh
# System calls as the tracer counts them, against what programs know and what strace says.
. "$(dirname "$0")/strace_lib.sh"
build_caller

# What the program knows: hits and bytes, calls that were not wanted, and the totals.
counted -- "$calls" calls
want "status" $STATUS 0
want "reads" "$(hits read)" 501 # and the C library's header
want "bytes written" "$(said strace___size___write)" 30000
want "all bytes written" "$(said total___strace___size___write)" 30000
want "bytes read" "$(said strace___size___read)" 50832
want "no size without bytes" "$(said strace___size___close)" ""
want "getppid, which is not in the default set" "$(hits getppid)" 0
[ "$(hits openat)" -ge 500 ] || fail "openat: $(hits openat)"
seconds=$(said strace___time___write)
awk -v s="$seconds" 'BEGIN { exit !(s > 0 && s < 60) }' || fail "time in write: $seconds"
counted -c write,getppid -- "$calls" calls
want "calls that were asked for" "$(all_hits | tr '\n' ' ')" "getppid 1500 write 500 "
MPROXY_STRACE_CALLS=getppid
export MPROXY_STRACE_CALLS
counted -- "$calls" threads
unset MPROXY_STRACE_CALLS
want "calls of 4 threads" "$(all_hits)" "getppid 6000"
counted -c default,getppid -- "$calls" thread-execs
want "after a thread's exec" "$(hits getppid) $(hits execve)" "1530 2"
# The time of a call is the time that it takes.
counted -- sleep 0.3
awk -v s="$(said strace___time___clock_nanosleep)" 'BEGIN { exit !(s > 0.29 && s < 3) }' ||
    fail "a sleep of 0.3 s took $(said strace___time___clock_nanosleep)"
# Short calls are timed in part only, and come to about the same: without standing for the
# others, those that are timed would be an eighth.
counted -c close --time-all -- "$calls" threads
every=$(said strace___time___close)
counted -c close -- "$calls" threads
awk -v some="$(said strace___time___close)" -v every="$every" \
    'BEGIN { exit !(some > every / 4 && some < every * 4) }' ||
    fail "time in close: $(said strace___time___close), where all are timed $every"

# What strace says. How often threads wait for each other is not the same twice.
if command -v strace >/dev/null; then
    for how in filter no-filter; do
        for way in calls threads forks vforks chain thread-execs signals; do
            strace_hits "$calls" $way | grep -vE '^futex ' >"$TMP/theirs"
            [ -s "$TMP/theirs" ] || skip strace "it can't trace here"
            if [ $how = filter ]; then
                counted -c all -- "$calls" $way
            else
                counted -c all --no-filter -- "$calls" $way
            fi
            want "status of $way" $STATUS 0
            all_hits | grep -vE '^futex ' >"$TMP/ours"
            diff "$TMP/theirs" "$TMP/ours" >"$TMP/diff" || fail "$way, $how: $(cat "$TMP/diff")"
        done
    done
fi
