#!/bin/sh
# What the idle proxy costs: memory of its own and CPU at a period of 1 s, beside the same of
# node_exporter scraped once a second, where that is installed. Prints one line of JSON.
#
# bench_idle.sh BUILD [SECONDS]; 20 seconds unless told.
build=${1:?the build directory} seconds=${2:-20}
BIN=$build/bin LIB=$build/lib
. "$(dirname "$0")/../support/lib.sh"

# ticks PID: clock ticks of CPU used so far.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }
# kib PID FIELD: of /proc/PID/status.
kib() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/status"; }

start_proxy -S 1000
wait_for "the first round" get /-/ready
series=$(get /metrics | grep -vc '^#')
for i in 1 2 3; do get /job >/dev/null; done # what readers leave behind

other=null
if command -v prometheus-node-exporter >/dev/null; then
    port=$((${URL##*:} + 1))
    prometheus-node-exporter --web.listen-address="127.0.0.1:$port" 2>/dev/null &
    exporter=$!
    kill_later $exporter
    wait_for "node_exporter" curl -sf "http://127.0.0.1:$port/metrics"
    before_exporter=$(ticks $exporter)
fi
before=$(ticks $PROXY_PID)
for i in $(seq "$seconds"); do
    sleep 1
    [ -z "${exporter:-}" ] || curl -s "http://127.0.0.1:$port/metrics" >/dev/null || :
done
used=$(($(ticks $PROXY_PID) - before))
if [ -n "${exporter:-}" ]; then
    other=$(awk -v t=$(($(ticks $exporter) - before_exporter)) -v s="$seconds" \
        -v hz="$(getconf CLK_TCK)" -v rss="$(kib $exporter VmRSS)" 'BEGIN {
        printf "{\"cpu_percent\":%.3f,\"rss_kib\":%d}", 100 * t / hz / s, rss }')
fi
awk -v used=$used -v s="$seconds" -v hz="$(getconf CLK_TCK)" -v series="$series" \
    -v anon="$(kib $PROXY_PID RssAnon)" -v rss="$(kib $PROXY_PID VmRSS)" \
    -v other="$other" 'BEGIN {
    printf "{\"bench\":\"idle\",\"series\":%d,\"rss_anon_kib\":%d,\"aim_rss_anon_kib\":6144,", \
        series, anon
    printf "\"rss_kib\":%d,\"cpu_percent\":%.3f,\"aim_cpu_percent\":0.2,", rss, \
        100 * used / hz / s
    printf "\"node_exporter\":%s}\n", other }'
