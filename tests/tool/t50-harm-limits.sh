#!/bin/sh
# Programs that lack something, under the real launcher: each prints and ends as without us,
# what it could count is exact, and what it could not is said in its profile.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
build_harm
start_proxy --linger 100
wait_for "the first round" get /-/ready

# File size: no segment at all, or one that can't grow.
run_both fsize-0 'ulimit -f 0' "$HARM" say hello count c_total 5 fork count c_total 1 done \
    exit 7
told fsize-0 'uncounted.file size limit>=1' partial=yes c_total=none
run_both fsize-1 'ulimit -f 1' "$HARM" write f 300 count c_total 5 grow 500 exit 8
told fsize-1 'uncounted.file size limit>=1' partial=yes c_total=none
run_both fsize-kill 'ulimit -f 1' "$HARM" say before write f 2000 say unreachable
told fsize-kill 'uncounted.file size limit>=1' partial=yes
run_both fsize-sh 'ulimit -f 1' sh -c 'echo one; /bin/echo two; (exit 3); echo $?; exit 4'
told fsize-sh 'uncounted.file size limit>=1' partial=yes
run_both fsize-8k 'ulimit -f 16' "$HARM" count c_total 5 grow 2000 count c_total 1 \
    fork count c_total 1 done exit 9
told fsize-8k 'uncounted.file size limit>=1' partial=yes c_total=7 has_started=2 \
    has_finished=2 grown_0_total=3
run_both fsize-later : "$HARM" count c_total 5 limit fsize 8192 grow 2000 count c_total 1 exit 1
told fsize-later 'uncounted.file size limit=1' partial=yes c_total=6 has_finished=1
# Children whose names do not fit: they begin and end all the same.
run_both fsize-fork : "$HARM" grow 500 limit fsize 8192 fork count c_total 1 done fork exit 3 \
    done exit 1
told fsize-fork 'uncounted.file size limit>=1' partial=yes has_started=3 has_finished=3

# Descriptors: none free while it runs. Growth needs none; the child of a fork can't have a
# segment.
run_both descriptors 'ulimit -n 40' "$HARM" count c_total 5 take-descriptors grow 2000 \
    count c_total 2 threads 4 c_total fork count c_total 100 done exit 3
told descriptors 'uncounted.no descriptor=1' partial=yes c_total=11 grown_1999_total=3 has_started=1 \
    has_finished=1
run_both descriptors-4 'ulimit -n 4' "$HARM" count c_total 5 exit 2
told descriptors-4 c_total=5 partial=no
run_both descriptors-0 : "$HARM" limit nofile 0 count c_total 5 grow 500 count c_total 1 \
    exit 6
told descriptors-0 c_total=6 grown_499_total=3 partial=no has_finished=1
run_both closed : "$HARM" count c_total 1 say said closefrom 0 count c_total 1 grow 1500 \
    fork grow 1 count c_total 1 done count c_total 1 exit 5
told closed c_total=4 grown_0_total=6 grown_1499_total=3 partial=no has_started=2 \
    has_finished=2
# Not a script that stands before Python, as some installations have.
PYTHON=$(python3 -c 'import sys; print(sys.executable)')
run_both closed-python : "$PYTHON" -c '
import os, sys
print("said", flush=True)
os.closerange(0, 1024)
assert os.open("/dev/null", os.O_RDWR) == 0
if os.fork() == 0:
    os._exit(3)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]) + 1)'
told closed-python has_started=2 has_finished=2 partial=no
run_both closed-outside 'exec <&- 2>&-' "$HARM" count c_total 1 say said exit 1
told closed-outside c_total=1 partial=no

# Memory: locked to the limit, or all of it taken.
run_both memory-taken 'ulimit -v 300000' "$HARM" count c_total 1 take-memory grow 2000 \
    count c_total 1 threads 2 c_total exit 4
told memory-taken c_total=4 has_finished=1
run_both memory-none : "$HARM" count c_total 1 limit as 0 grow 2000 count c_total 1 \
    fork count c_total 1 done exit 4
told memory-none 'uncounted.no memory>=1' partial=yes has_started=1 has_finished=1 c_total=2
if [ "$(id -u)" = 0 ] || [ "$(ulimit -l)" = unlimited ]; then
    run_both locked : "$HARM" lock-memory count c_total 1 grow 2000 threads 4 c_total \
        fork grow 10 count c_total 1 done exit 4
    told locked c_total=6 grown_0_total=6 grown_1999_total=3 partial=no has_finished=2
else
    skip_part root "memory may be locked up to a limit only"
fi

# A limit of address space that is just enough without us may be too little with us, but
# only by what the libraries take; the loader then refuses, before anything of ours runs.
least=
for kib in $(seq 2000 250 12000); do
    (ulimit -v "$kib" && exec /bin/true) 2>/dev/null || continue
    least=${least:-$kib}
    if (ulimit -v "$kib" && exec "$BIN/proxy_run" -u "$SOCKET" -j "as-$kib" -- /bin/true) \
        2>/dev/null; then
        break
    fi
done
echo "address space: $least KiB without us, $kib KiB with us"
[ $((kib - least)) -le 4000 ] || fail "$((kib - least)) KiB more are needed"
stop_proxy
want "exit status" "$STATUS" 0
