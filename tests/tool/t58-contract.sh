#!/bin/sh
# Every kind of reply of a proxy that has everything: jobs that run and that ended, ranks,
# gauges, histograms, labels, odd names, two runs of one id, a client of the socket. Each is
# held against the contract, on the raw text; texts against JSON, value by value.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler promtool python3 curl
build_harm
cat >"$TMP/rich.c" <<'TXT'
#include <mproxy/client.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const double bounds[] = {0.1, 1, 2.5};
    double rank = atof(argv[1]);
    mproxy_counter_add(mproxy_counter_get("rich_hits_total", "Hits, \"quoted\" \\ and\nbroken",
                                          NULL), 1000000000000000 + (uint64_t)rank);
    mproxy_counter_add(mproxy_counter_get("rich_labelled_total{a=\"x \\\"y\\\" \\\\ z\",b=\"\xc3\xa9\"}",
                                          "Labels", NULL), 3);
    mproxy_fcounter_add(mproxy_fcounter_get("rich_seconds_total", "Seconds", NULL), 0.1 + rank);
    mproxy_gauge_set(mproxy_gauge_get("rich_level", "A level", NULL), rank - 1.5);
    mproxy_gauge_set(mproxy_gauge_get("rich_tiny", "Tiny", NULL), 1e-300);
    mproxy_histogram *h = mproxy_histogram_get("rich_size_bytes", "Sizes", bounds, 3, NULL);
    for (int i = 0; i < 10; i++)
        mproxy_histogram_observe(h, i * 0.4);
    mproxy_histogram_observe(mproxy_histogram_get("rich_powers", "Powers", NULL, 0, NULL), 5);
    mproxy_histogram_observe(mproxy_histogram_get("rich_part_bytes{op=\"r\"}", "Parts", bounds, 3,
                                                  NULL), 2);
    mproxy_histogram_observe(mproxy_histogram_get("rich_part_bytes{op=\"w\"}", "Parts", bounds, 3,
                                                  NULL), 3);
    if (argc > 2)
        sleep(600);
}
TXT
compile "$TMP/rich" "$TMP/rich.c"
start_proxy --linger 100 --continue 1
wait_for "the first round" get /-/ready
for run in 1 2; do
    for rank in 0 1 2 3; do
        PMI_RANK=$rank PMI_SIZE=4 "$BIN/proxy_run" -u "$SOCKET" -j ended -- "$TMP/rich" $rank
    done
    ended=$(now_ms)
    runs() {
        get /profiles >"$TMP/profiles" && ! grep -q provisional "$TMP/profiles" &&
            [ "$(grep -o '"jobid":"ended' "$TMP/profiles" | wc -l)" = $run ]
    }
    wait_for "run $run" runs
    # A gap above --continue makes the next one another run.
    [ $run = 2 ] || wait_past $((ended + 1100))
done
for job in one 'two words' 'th"r\ee'; do
    "$BIN/proxy_run" -u "$SOCKET" -j "$job" -- "$TMP/rich" 2 stay &
    kill_later $!
    wait_for "its counter" value rich_hits_total "$(printf %s "$job" |
        sed 's/ /%20/g; s/"/%22/g; s/\\/%5C/g')"
done

export URL SOCKET PYTHONPATH="$SUPPORT"
python3 "$(dirname "$0")/t58-contract.py"
stop_proxy
want "exit status" "$STATUS" 0
