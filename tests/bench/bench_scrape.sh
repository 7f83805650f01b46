#!/bin/sh
# What scraping costs: targets on real sockets, 100 series each, at a period of 1 s; how much CPU
# a scrape takes in the proxy, all in all: request, reply, parse, and its part of the rounds.
# Beside it the time that scrapes wait, and what memory a target takes. One line of JSON.
#
# bench_scrape.sh BUILD [TARGETS [SECONDS]]; 1,000 targets and 20 seconds unless told.
build=${1:?the build directory} targets=${2:-1000} seconds=${3:-20}
BIN=$build/bin LIB=$build/lib
. "$(dirname "$0")/../support/lib.sh"
need compiler python3 curl

# used_us PID: microseconds of CPU that its threads have used.
used_us() { cat "/proc/$1/task/"*/schedstat | awk '{ ns += $1 } END { printf "%d\n", ns / 1000 }'; }
anon() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$PROXY_PID/status"; }
# sum NAME: over all targets.
sum() { get /metrics | awk -v name="$1" 'index($0, name "{") == 1 { s += $NF } END { print s + 0 }'; }

well() { [ "$(sum mproxy_scrape_up)" = "$targets" ]; }

"${CC:-cc}" -D_GNU_SOURCE -O2 -o "$TMP/exporters" "$SUPPORT/exporters.c"
"$TMP/exporters" 100 >"$TMP/port" &
exporters=$!
kill_later $exporters
wait_for "exporters" test -s "$TMP/port"
port=$(cat "$TMP/port")
start_proxy -S 1000 -i
wait_for "the first round" get /-/ready
before_kib=$(anon)
awk -v n="$targets" -v port="$port" 'BEGIN {
    for (i = 0; i < n; i++) {
        printf "%s127.%d.%d.%d:%d", i % 50 ? "&" : (i ? "\n" : ""), 0, i / 250, i % 250 + 1, port
    }
    print "" }' >"$TMP/targets"
while read -r some; do
    get "/join/multiple?to=$some" >/dev/null
done <"$TMP/targets"
WAIT_SECONDS=60 wait_for "all targets" well
scrapes=$(sum mproxy_scrapes_total)
failed=$(sum mproxy_scrape_failures_total)
used=$(used_us $PROXY_PID)
theirs=$(used_us $exporters)
sleep "$seconds"
used=$(($(used_us $PROXY_PID) - used))
theirs=$(($(used_us $exporters) - theirs))
scrapes=$(($(sum mproxy_scrapes_total) - scrapes))
failed=$(($(sum mproxy_scrape_failures_total) - failed))
waited=$(sum mproxy_scrape_duration_seconds)
awk -v used=$used -v theirs=$theirs -v scrapes=$scrapes -v failed=$failed \
    -v targets="$targets" -v waited="$waited" \
    -v kib=$(($(anon) - before_kib)) 'BEGIN {
    printf "{\"bench\":\"scrape\",\"targets\":%d,\"series\":100,\"scrapes\":%d,\"failed\":%d,", \
        targets, scrapes, failed
    printf "\"cpu_ms_per_scrape\":%.4f,\"aim\":0.1,\"exporter_cpu_ms\":%.4f,", \
        used / 1e3 / scrapes, theirs / 1e3 / scrapes
    printf "\"mean_wait_ms\":%.3f,\"kib_per_target\":%.1f}\n", 1e3 * waited / targets, \
        kib / targets }'
