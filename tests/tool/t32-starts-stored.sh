#!/bin/sh
# Starts and ends of shells, Python, exec, _exit and kills, as the profile of a real proxy
# has them; the proxy is killed before it stores the first of them.
. "$(dirname "$0")/../support/lib.sh"
need curl bash dash python3
start_proxy --linger 100
wait_for "the first round" get /-/ready
cat >"$TMP/mp.py" <<'TXT'
import multiprocessing
import sys


def work(n):
    return n * n


if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    processes = [multiprocessing.Process(target=work, args=(i,)) for i in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
TXT
python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
: >"$TMP/expected"

# job STARTED FINISHED COMMAND...: a job of its own.
job() {
    jobs=$((${jobs:-0} + 1))
    echo "job-$jobs $1 $2 $(shift 2; echo "$*" | tr '\n' ' ')" >>"$TMP/expected"
    shift 2
    "$BIN/proxy_run" -u "$SOCKET" -j "job-$jobs" -- "$@" >/dev/null 2>&1 || :
}

job 1 1 true
job 2 2 dash -c '/bin/true; exit 3'
job 3 3 dash -c '/bin/true | /bin/cat; exit 0'
job 1 0 dash -c 'kill -KILL $$'
job 3 2 dash -c '/bin/true; dash -c "kill -KILL \$\$"; exit 0'
job 1 1 bash -c /bin/true
job 3 3 bash -c '/bin/true; (:); exit 0'
job 1 1 dash -c 'exec dash -c "exec true"'
job 5 5 "$python" "$TMP/mp.py" fork
job 6 6 "$python" "$TMP/mp.py" spawn
job 2 2 "$python" -c 'import os
if os.fork() == 0: os._exit(3)
os.wait()'
job 2 1 "$python" -c 'import os, signal
if os.fork() == 0: os.kill(os.getpid(), signal.SIGKILL)
os.wait()'
stop_proxy KILL
start_proxy --linger 100
wait_for "the first round" get /-/ready
job 2 2 sh -c '/bin/true; :'

while read -r id started finished what; do
    wait_for "the profile of $what" stored "$id"
    get "/profiles/get?jobid=$id" >"$TMP/profile"
    python3 "$(dirname "$0")/t32-starts-stored.py" "$TMP/profile" >"$TMP/counts"
    want "has_started and has_finished of $what" "$(cat "$TMP/counts")" \
        "$started $finished"
done <"$TMP/expected"
want "profiles" "$(get /profiles | grep -o '"jobid"' | wc -l)" "$jobs"
wait_for "their release" sh -c "! curl -s '$URL/job/list' | grep -q job-"
want "has_started in main" "$(value has_started)" \
    "$(awk '{ n += $2 } END { print n }' "$TMP/expected")"
want "has_finished in main" "$(value has_finished)" \
    "$(awk '{ n += $3 } END { print n }' "$TMP/expected")"
