#!/bin/sh
# A real Prometheus scrapes a proxy with three jobs: up, the same values, the same rate.
# What promtool finds in our text are the published older names only.
. "$(dirname "$0")/../support/lib.sh"
need prometheus promtool python3 curl
start_proxy
wait_for "the first round" get /-/ready
for job in one two 'th"r\ee'; do
    "$BIN/proxy_run" -u "$SOCKET" -j "$job" -- sleep 120 &
    kill_later $!
done
wait_for "the jobs" sh -c "[ \$(curl -s '$URL/job/list' | grep -o jobid | wc -l) = 5 ]"

# promtool lists lints on stderr, with status 3; 1 is a parse error.
for path in /metrics '/metrics?job=one' '/metrics?job=*'; do
    status=0
    get "$path" | promtool check metrics >"$TMP/lint" 2>&1 || status=$?
    [ $status = 0 ] || [ $status = 3 ] || fail "promtool on $path: $(cat "$TMP/lint")"
    # Names of ours on top of the published ones have no excuse.
    if grep -E '^(m?proxy_(load1|context|uptime|pressure|energy|disk_(read|written|io))|mproxy_|job_process_)' \
        "$TMP/lint"; then
        fail "promtool finds fault with new names on $path"
    fi
done

PROMETHEUS_PORT=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$TMP/prometheus.yml" <<TXT
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ['${URL#http://}']}]
  - job_name: jobs
    http_sd_configs: [{url: '$URL/api/v1/sd', refresh_interval: 1s}]
    relabel_configs: [{target_label: __address__, replacement: '${URL#http://}'}]
TXT
prometheus --config.file="$TMP/prometheus.yml" --storage.tsdb.path="$TMP/tsdb" \
    --web.listen-address="127.0.0.1:$PROMETHEUS_PORT" >"$TMP/prometheus.log" 2>&1 &
kill_later $!

# A counter that grows by 20 a second.
export URL SOCKET PYTHONPATH="$SUPPORT" PROMETHEUS_PORT
timeout 120 python3 - <<'TXT'
from proxy import *
import threading

def query(text):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", os.environ["PROMETHEUS_PORT"],
                                                timeout=5)
        connection.request("GET", "/api/v1/query?query=" + quote(text))
        result = json.loads(connection.getresponse().read())["data"]["result"]
        return {tuple(sorted(item["metric"].items())): float(item["value"][1])
                for item in result}
    except (OSError, ValueError, KeyError):
        return {}

stop = threading.Event()
def push():
    client = Client("rate")
    while not stop.wait(0.05):
        client.counter("rate_total", 1)
threading.Thread(target=push, daemon=True).start()

def first(text):
    values = query(text)
    return next(iter(values.values())) if values else None

wait_until("up == 1", lambda: first('up{job="node"}') == 1, 60)
wait_until("the jobs by service discovery",
           lambda: len([v for v in query('up{job="jobs"}').values() if v == 1]) >= 5, 60)
def job_ids():
    return {dict(labels).get("job_id") for labels in query('has_started{job="jobs"}')}
wait_until("the job ids as labels", lambda: {"one", "two", 'th"r\\ee'} <= job_ids(), 60)
want("CPUs", first('proxy_cpu_total{job="node"}'), counters()["proxy_cpu_total"][1])
wait_until("ten seconds of the counter",
           lambda: (first('count_over_time(rate_total{job="node"}[20s])') or 0) >= 10, 60)
before, start = counters()["rate_total"], time.monotonic()
wait_until("a hundred more", lambda: counters()["rate_total"] >= before + 100, 60)
ours = (counters()["rate_total"] - before) / (time.monotonic() - start)
theirs = first('rate(rate_total{job="node"}[8s])')
stop.set()
if not 0.75 < theirs / ours < 1.33:
    fail(f"rates disagree: {ours} by our reply, {theirs} by Prometheus")
TXT
