#!/bin/sh
# Real servers are scraped while a job counts: node_exporter, Prometheus, Pushgateway and
# Alertmanager. Their values are shown, the job's figures stay its own.
. "$(dirname "$0")/../support/lib.sh"
need prometheus prometheus-node-exporter prometheus-pushgateway prometheus-alertmanager \
    promtool python3 curl

ports=$(python3 -c 'import socket
all = [socket.socket() for _ in range(4)]
for s in all: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in all))')
# shellcheck disable=SC2086 # four words
set -- $ports
printf 'global: {scrape_interval: 1s}\n' >"$TMP/prometheus.yml"
printf 'route: {receiver: none}\nreceivers: [{name: none}]\n' >"$TMP/alertmanager.yml"
prometheus-node-exporter --web.listen-address="127.0.0.1:$1" >"$TMP/node.log" 2>&1 &
kill_later $!
prometheus --config.file="$TMP/prometheus.yml" --storage.tsdb.path="$TMP/tsdb" \
    --web.listen-address="127.0.0.1:$2" >"$TMP/prometheus.log" 2>&1 &
kill_later $!
prometheus-pushgateway --web.listen-address="127.0.0.1:$3" --persistence.file= \
    >"$TMP/gateway.log" 2>&1 &
kill_later $!
prometheus-alertmanager --config.file="$TMP/alertmanager.yml" --storage.path="$TMP/alerts" \
    --web.listen-address="127.0.0.1:$4" --cluster.listen-address= >"$TMP/alert.log" 2>&1 &
kill_later $!
for port; do
    wait_for "the server at $port" curl -sf "http://127.0.0.1:$port/metrics"
done

# Periods are long: on a loaded machine a server that is slow five times loses its gauges.
start_proxy -s "127.0.0.1:$1@3000,http://127.0.0.1:$2/metrics@2000"
wait_for "the first round" get /-/ready
"$BIN/proxy_run" -u "$SOCKET" -j counted -- sleep 300 &
kill_later $!
export URL SOCKET PYTHONPATH="$SUPPORT" PORTS="$*"
timeout 120 python3 "$(dirname "$0")/t85-scrape-real.py"

for path in /metrics '/metrics?job=*'; do
    status=0
    get "$path" | promtool check metrics >"$TMP/lint" 2>&1 || status=$?
    [ $status = 0 ] || [ $status = 3 ] || fail "promtool on $path: $(cat "$TMP/lint")"
    if grep '^mproxy_' "$TMP/lint"; then
        fail "promtool finds fault with names of ours on $path"
    fi
done
kill -0 "$PROXY_PID" || fail "the proxy has ended: $(cat "$LOG")"
