#!/bin/sh
# Values that the client library or the proxy refuses mark the job, with the reason.
. "$(dirname "$0")/../support/lib.sh"
need curl compiler
compile "$TMP/refused" "$SUPPORT/refused.c"
start_proxy --linger 0
wait_for "the first round" get /-/ready

# partial_of JOB: the nodes that its profile names, none for `[]`.
partial_of() {
    sed -n 's/.*"partial":\[\([^]]*\)\].*/\1/p' "$TMP/stored"
}

REASON='mproxy_processes_uncounted_total{reason=\"refused '
for kind in nothing below-zero not-finite overflow gauge histogram bounds nameless; do
    "$BIN/proxy_run" -u "$SOCKET" -j "$kind" -- "$TMP/refused" "$kind"
    wait_for "the profile of $kind" stored "$kind"
    grep -q '"name":"good_total"' "$TMP/stored" || fail "$kind: what is good is not there"
    if [ "$kind" = nothing ]; then
        want "partial of a job without fault" "$(partial_of)" ""
    else
        [ -n "$(partial_of)" ] || fail "$kind: refused, and its job is not marked"
        what=value
        [ "$kind" != bounds ] && [ "$kind" != nameless ] || what=metric
        grep -qF "$REASON$what" "$TMP/stored" || fail "$kind: no reason in the profile"
    fi
done

# A sum that has passed 2^64 while it was shown stays, and the job says so.
mkfifo "$TMP/go"
"$BIN/proxy_run" -u "$SOCKET" -j wrap -- "$TMP/refused" wrap <"$TMP/go" &
exec 3>"$TMP/go"
wait_for "a sum near 2^64" sh -c "curl -sf '$URL/metrics?job=wrap' |
    grep -q '^refused_total 1.8446744073709552e+19'"
exec 3>&-
wait $!
wait_for "the profile of wrap" stored wrap
grep -q '"name":"refused_total"[^}]*1.8446744073709552e+19' "$TMP/stored" ||
    fail "wrap: $(grep -o '"name":"refused_total"[^}]*' "$TMP/stored")"
[ -n "$(partial_of)" ] || fail "wrap: its job is not marked"
grep -qF "${REASON}value" "$TMP/stored" || fail "wrap: no reason in the profile"
