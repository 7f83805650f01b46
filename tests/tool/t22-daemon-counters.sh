#!/bin/sh
# Counters raised over HTTP: declared, added to, set; exact after a kill of the proxy.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
start_proxy --linger 300
wait_for "the first round" get /-/ready
export URL SOCKET PYTHONPATH="$SUPPORT"

python3 - <<'TXT'
from proxy import *

def changed(path, reply):
    want_reply(path, reply, 200, "success")

for path in ("/push?key=declared_total&doc=A%20doc", "/accumulate?key=k_total&value=2.5",
             "/accumulate?key=k_total&value=1", "/set?key=s_total&value=40",
             "/push?key=declared_total", "/push/?key=l_total%7Ba%3D%22b%22%7D&doc=d",
             "/accumulate?key=main_total&value=1&job=main",
             "/accumulate?key=main_total&value=1&job=Node:%20" + HOST):
    changed(path, ask(path))
changed("POST", post("/accumulate", {"key": "k_total", "value": 1}))
changed("POST", post("/accumulate", {"key": "k_total", "value": "0.5", "doc": "of k"}))
changed("POST", post("/push", {"key": "p_total", "doc": "posted"}))
wait_value("k_total", 5)
wait_value("s_total", 40)
wait_value("main_total", 2)
wait_value("declared_total", 0)
shown = {entry["name"]: entry for entry in ask("/job?job=main").json()["counters"]}
want("doc", shown["declared_total"]["doc"], "A doc")
want("labels", 'l_total{a="b"}' in shown, True)

# Set is exact whatever came before and in the same moment, also downwards.
for value in (100, 100.25, 7, 0, 12):
    changed("/set", ask(f"/set?key=s_total&value={value}"))
    wait_value("s_total", value)
changed("/accumulate", ask("/accumulate?key=s_total&value=3"))
changed("/set", ask("/set?key=s_total&value=50"))
changed("/accumulate", ask("/accumulate?key=s_total&value=1"))
changed("/accumulate", ask("/accumulate?key=s_total&value=1"))
wait_value("s_total", 52)
TXT

# Of a job: they end with it and are in its profile.
"$BIN/proxy_run" -u "$SOCKET" -j dj -- sleep 60 &
SLEEP=$!
kill_later $SLEEP
wait_for "the job" get '/job?job=dj'
get '/accumulate?key=of_job_total&value=4&job=dj' >/dev/null
get '/set?key=of_job_total&value=9&job=dj' >/dev/null
wait_for "its counter" value of_job_total dj
kill "$SLEEP"
wait_for "its profile" get '/profiles/get?jobid=dj'
python3 - <<'TXT'
from proxy import *
values = {entry["name"]: entry["ctype"] for entry in
          ask("/profiles/get?jobid=dj").json()["counters"]}
want("the job's counter", values["of_job_total"]["Counter"]["value"], 9)
points = [json.loads(line) for line in
          ask("/profiles/extrap?jobid=dj").body.splitlines()]
want("points for Extra-P", [p for p in points if p["metric"] == "of_job_total"],
     [{"params": {"size": 1}, "metric": "of_job_total", "value": 9}])
wait_until("the end of the job", lambda: ask("/job?job=dj").status == 404)
refused("a job that has ended", ask("/accumulate?key=a&value=1&job=dj"), 404, "'job'")
wait_value("of_job_total", 9)
TXT

# Killed at some moment: what was answered is there, once.
python3 - >"$TMP/answered" <<'TXT' &
from proxy import *
import sys
answered = 0
try:
    while True:
        if ask("/accumulate?key=killed_total&value=1").status == 200:
            answered += 1
except OSError:
    pass
print(answered)
TXT
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
