#!/bin/sh
# Counters raised over HTTP: declared, added to, set; exact after a kill of the proxy.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
start_proxy --linger 300
wait_for "the first round" get /-/ready
export URL SOCKET PYTHONPATH="$SUPPORT"

python3 "$(dirname "$0")/t22-daemon-counters.py"

# Of a job: they end with it and are in its profile.
"$BIN/proxy_run" -u "$SOCKET" -j dj -- sleep 60 &
SLEEP=$!
kill_later $SLEEP
wait_for "the job" get '/job?job=dj'
get '/accumulate?key=of_job_total&value=4&job=dj' >/dev/null
get '/set?key=of_job_total&value=9&job=dj' >/dev/null
wait_for "its counter" value of_job_total dj
kill "$SLEEP"
wait_for "its profile" stored 'dj'
python3 "$(dirname "$0")/t22-daemon-counters-of-job.py"

# Killed at some moment: what was answered is there, once.
python3 "$(dirname "$0")/t22-daemon-counters-until-killed.py" >"$TMP/answered" &
COUNT=$!
wait_for "200 answers" sh -c "[ \$(curl -s '$URL/job?job=main&metric=killed_total' |
    sed -n 's/.*\"value\":\([0-9]*\).*/\1/p') -ge 200 ]"
stop_proxy KILL
wait $COUNT
start_proxy --linger 300
wait_for "the first round" get /-/ready
shown=$(value killed_total) answered=$(cat "$TMP/answered")
[ "$answered" -ge 200 ] || fail "only $answered answers"
# One more may have been counted whose answer was lost.
[ "$shown" = "$answered" ] || [ "$shown" = $((answered + 1)) ] ||
    fail "$answered calls were answered, $shown are shown"
get '/set?key=killed_total&value=5' >/dev/null
wait_for "a set across the restart" sh -c "[ \"\$(curl -s '$URL/metrics' |
    awk '\$1 == \"killed_total\" { print \$2 }')\" = 5 ]"
