#!/bin/sh
# What the idle proxy costs: memory of its own and CPU at a period of 1 s, beside the same of
# node_exporter scraped once a second, where that is installed. Prints one line of JSON.
#
# bench_idle.sh BUILD [SECONDS]; 20 seconds unless told.
set -eu
build=${1:?the build directory} seconds=${2:-20}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mproxy-bench-XXXXXX")
pids=
cleanup() {
    for pid in $pids; do kill -KILL "$pid" 2>/dev/null || :; done
    rm -rf "$tmp" "/dev/shm/$(printf %s "$tmp" | sed 's,/,%2F,g')"*
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ticks PID: clock ticks of CPU used so far.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }
# kib PID FIELD: of /proc/PID/status.
kib() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/status"; }
url_of() { sed -n 's/^Proxy webserver listening on //p' "$tmp/log"; }

: >"$tmp/log"
"$build/bin/proxy-v2" -p 0 --listen 127.0.0.1 -u "$tmp/socket" -t "$tmp/prefix" \
    2>"$tmp/log" &
proxy=$!
pids=$proxy
until [ -n "$(url_of)" ] && curl -sf "$(url_of)/-/ready" >/dev/null; do
    kill -0 $proxy || { cat "$tmp/log" >&2; exit 1; }
    sleep 0.1
done
series=$(curl -s "$(url_of)/metrics" | grep -vc '^#')
for i in 1 2 3; do curl -s "$(url_of)/job" >/dev/null; done # what readers leave behind

other=null
if command -v prometheus-node-exporter >/dev/null; then
    port=$(($(url_of | sed 's/.*://') + 1))
    prometheus-node-exporter --web.listen-address="127.0.0.1:$port" 2>/dev/null &
    exporter=$!
    pids="$pids $exporter"
    sleep 1
    before_exporter=$(ticks $exporter)
fi
before=$(ticks $proxy)
for i in $(seq "$seconds"); do
    sleep 1
    [ -z "${exporter:-}" ] || curl -s "http://127.0.0.1:$port/metrics" >/dev/null || :
done
used=$(($(ticks $proxy) - before))
if [ -n "${exporter:-}" ]; then
    other=$(awk -v t=$(($(ticks $exporter) - before_exporter)) -v s="$seconds" \
        -v hz="$(getconf CLK_TCK)" -v rss="$(kib $exporter VmRSS)" 'BEGIN {
        printf "{\"cpu_percent\":%.3f,\"rss_kib\":%d}", 100 * t / hz / s, rss }')
fi
awk -v used=$used -v s="$seconds" -v hz="$(getconf CLK_TCK)" -v series="$series" \
    -v anon="$(kib $proxy RssAnon)" -v rss="$(kib $proxy VmRSS)" -v other="$other" 'BEGIN {
    printf "{\"bench\":\"idle\",\"series\":%d,\"rss_anon_kib\":%d,\"aim_rss_anon_kib\":6144,", \
        series, anon
    printf "\"rss_kib\":%d,\"cpu_percent\":%.3f,\"aim_cpu_percent\":0.2,", rss, \
        100 * used / hz / s
    printf "\"node_exporter\":%s}\n", other }'
