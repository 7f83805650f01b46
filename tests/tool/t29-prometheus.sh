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

# A metric with the label that is added to each, and with what that one is renamed to.
get '/set?key=both_total%7Bexported_job_id%3D%22a%22%2Cjob_id%3D%22b%22%7D&value=7' >"$TMP/set"
wait_for "the counter" sh -c "curl -s '$URL/metrics' | grep -q ^both_total"

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
  - job_name: all
    params: {job: ['*']}
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
timeout 120 python3 "$(dirname "$0")/t29-prometheus.py"
