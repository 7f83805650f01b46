#!/bin/sh
# A daemon of one's own in a program whose locale has a decimal comma shows and reads the same
# numbers as any: bounds of histograms, the node's metrics, its own replies.
. "$(dirname "$0")/../support/lib.sh"
need curl compiler localedef
[ -e /usr/share/i18n/locales/de_DE ] || skip localedef "no description of de_DE"
localedef -i de_DE -f UTF-8 "$TMP/de_DE.UTF-8" || fail "the locale can't be made"
compile "$TMP/comma.so" "$SUPPORT/decimal_comma.c" -shared -fPIC
export LOCPATH="$TMP"

daemon=$BIN/../docs/examples/daemon
LD_PRELOAD="$TMP/comma.so" "$daemon" "$SOCKET" 0 >"$TMP/out" 2>"$TMP/err" &
pid=$!
kill_later $pid
wait_for "the daemon" grep -q '^serving at ' "$TMP/out"
url=$(sed -n 's/^serving at //p' "$TMP/out")

"$BIN/proxy_run" -u "$SOCKET" -j job -- "$BIN/../docs/examples/counter" >"$TMP/said"
shown() {
    curl -sSf -m 20 "$@" >"$TMP/metrics" && grep -q '^demo_items_total 1000000$' "$TMP/metrics"
}
wait_for "what was counted" shown "$url/metrics"
grep -q '^# TYPE demo_[a-z_]* histogram$' "$TMP/metrics" ||
    fail "no histogram: $(grep demo_ "$TMP/metrics")"
grep -q 'le="0\.' "$TMP/metrics" || fail "no bound below 1: $(grep demo_ "$TMP/metrics")"
! grep 'le="[^"]*,' "$TMP/metrics" || fail "a bound has a comma"
curl -sSf -m 20 "$url/metrics?job=*" >"$TMP/all"
grep -q '^proxy_load1{' "$TMP/all" || fail "the node's load is not read"
curl -sSf -m 20 -H 'Accept: application/openmetrics-text;q=0.9, text/plain;q=0.1' \
    "$url/metrics" >"$TMP/open"
want "the last line of the page" "$(tail -n 1 "$TMP/open")" "# EOF"
kill -TERM $pid
status=0
wait $pid || status=$?
want "the exit status" $status 0
