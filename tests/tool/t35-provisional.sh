#!/bin/sh
# The profile of a job is there as soon as its last process is gone: from memory, marked
# provisional, until its file is written. Whatever the sampling period.
. "$(dirname "$0")/../support/lib.sh"
need curl compiler
compile "$TMP/worker" "$SUPPORT/chaos/worker.c"
truncate -s 1M "$TMP/truth"
export CHAOS_TRUTH="$TMP/truth"

counts() {
    CHAOS_PROGRAM="count $2" "$BIN/proxy_run" -u "$SOCKET" -j "$1" -- "$TMP/worker"
}

# of WORDS...: what the body says of chaos_total, of being provisional, of its shares.
of() {
    python3 -c 'import json, sys
p = json.load(sys.stdin)
v = {e["name"]: e["ctype"] for e in p["counters"]}
print(int(v["chaos_total"]["Counter"]["value"]), p.get("provisional", False),
      len(p["shares"]), p["desc"]["end_time"] > 0)
' <"$TMP/body"
}

lives() {
    [ "$(said live)" = 1 ]
}

listed() {
    get /profiles | python3 -c 'import json, sys
print(*("%s:%s" % (d["jobid"].split("@")[0], d.get("provisional", False))
        for d in json.load(sys.stdin)))'
}

# The file is written after the linger, which this test does not wait for.
start_proxy --linger 3600000 -S 60000
wait_for "the first round" get /-/ready
counts j 3
get "/profiles/get?jobid=j" >"$TMP/body" || fail "no profile at once"
want "the profile" "$(of)" "6 True 1 True"
want "the list" "$(listed)" "j:True"
# It goes on: not over any more while a process lives.
CHAOS_PROGRAM='count 2;sleep 300000' "$BIN/proxy_run" -u "$SOCKET" -j j -- "$TMP/worker" &
WORKER=$!
kill_later $WORKER
wait_for "the process" lives
wait_for "the job" get '/job?job=j'
get '/job' >"$TMP/jobs"
get '/job?job=j&by=node' >>"$TMP/jobs"
grep -q '"name":"walltime"' "$TMP/jobs" && fail "a running job shows walltime"
get '/metrics?job=j' >"$TMP/metrics"
get '/metrics?job=*' >>"$TMP/metrics"
grep -q '^has_started' "$TMP/metrics" || fail "no metrics of a running job"
grep -q 'walltime' "$TMP/metrics" && fail "a running job shows walltime to Prometheus"
wait_for "the job to run again" sh -c "! curl -sf '$URL/profiles/get?jobid=j' >/dev/null"
kill -KILL $WORKER
wait $WORKER || :
get "/profiles/get?jobid=j" >"$TMP/body" || fail "no profile at once"
want "the profile" "$(of)" "9 True 1 True"
stop_proxy KILL

# Once it is written it is the same, without the mark; a run that goes on with it has both.
start_proxy --linger 0 -S 60000
wait_for "the file" sh -c "curl -s '$URL/profiles'; [ -s '$TMP/prefix/profiles/j.json' ]"
get "/profiles/get?jobid=j" >"$TMP/body"
want "the profile" "$(of)" "9 False 1 True"
stop_proxy KILL
start_proxy --linger 3600000 -S 60000
wait_for "the first round" get /-/ready
counts j 1
get "/profiles/get?jobid=j" >"$TMP/body" || fail "no profile at once"
want "the profile" "$(of)" "10 True 2 True"
want "the list" "$(listed)" "j:True"

# By command: the same runs with the same descriptions, commands in order and each once, those
# that wait between those that are stored.
for program in 1 2 3; do
    cp "$TMP/worker" "$TMP/worker-$program"
    CHAOS_PROGRAM="count 1" "$BIN/proxy_run" -u "$SOCKET" -j "k$program" -- "$TMP/worker-$program"
    if [ $program = 2 ]; then
        stop_proxy KILL
        start_proxy --linger 0 -S 60000
        stored_two() {
            get /profiles >"$TMP/list" && [ -s "$TMP/prefix/profiles/k2.json" ]
        }
        wait_for "the files" stored_two
        stop_proxy KILL
        start_proxy --linger 3600000 -S 60000
        wait_for "the first round" get /-/ready
        CHAOS_PROGRAM="count 1" "$BIN/proxy_run" -u "$SOCKET" -j j0 -- "$TMP/worker-1"
    fi
done
get /profiles >"$TMP/profiles"
get /percmd >"$TMP/percmd"
python3 - "$TMP/profiles" "$TMP/percmd" <<'TXT' || fail "/percmd is not /profiles by command"
import json, sys
flat = json.load(open(sys.argv[1]))
pairs = json.load(open(sys.argv[2]), object_pairs_hook=list)
commands = [command for command, _ in pairs]
grouped = [dict(d) for _, runs in pairs for d in runs]
key = lambda d: d["jobid"]
waiting = [key(d) for d in flat if d.get("provisional")]
sys.exit(not (sorted(flat, key=key) == sorted(grouped, key=key)
              and commands == sorted(set(commands)) and sorted(waiting) == ["j0", "k3"]
              and all(d["command"].strip() == c for c, runs in pairs for d in map(dict, runs))))
TXT
stop_proxy
