#!/bin/sh
# proxyctl check: verdict, remarks as promtool makes them, exit status.
. "$(dirname "$0")/../support/lib.sh"
ctl=$BIN/proxyctl
pages=$(dirname "$0")/../data/exposition

# ends STATUS WORD...: proxyctl with these words ends so; what it prints is in out and err.
ends() {
    status=$1 got=0
    shift
    "$ctl" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || got=$?
    want "status of proxyctl $*" $got $status
}
says() { grep -qF -- "$1" "$TMP/out" || fail "no '$1' in: $(cat "$TMP/out" "$TMP/err")"; }
complains() { grep -qF -- "$1" "$TMP/err" || fail "no '$1' in: $(cat "$TMP/err")"; }

# Verdicts.
printf '# HELP a_total A\n# TYPE a_total counter\na_total{x="1"} 1\na_total{x="2"} 2\n' >"$TMP/good"
ends 0 check "$TMP/good"
want "verdict" "$(cat "$TMP/out")" "ok: 1 family, 2 series"
ends 0 check
want "verdict of nothing" "$(cat "$TMP/out")" "ok: 0 families, 0 series"
printf 'a 1\nb two\n' >"$TMP/bad"
ends 1 check "$TMP/bad"
want "fault" "$(cat "$TMP/out")" "$TMP/bad:2:3: value 'two' of 'b': a number expected"
want "fault on stdin" "$("$ctl" check <"$TMP/bad" || true)" "-:2:3: value 'two' of 'b': a number expected"
want "fault on -" "$("$ctl" check - <"$TMP/bad" || true)" "-:2:3: value 'two' of 'b': a number expected"
printf 'a 1\n' >"$TMP/remarks"
ends 3 check "$TMP/remarks"
want "remark" "$(sed -n 2p "$TMP/out")" "a no help text"

# The format: by the page's end, or as it is said.
printf '# HELP a x\n# TYPE a counter\na_total 1 1.5\n# EOF\n' >"$TMP/open"
ends 0 check "$TMP/open"
ends 1 -t text/plain check "$TMP/open"
says "$TMP/open:3:11: time '1.5'"
ends 1 -t 'application/openmetrics-text; version=1.0.0' check "$TMP/good"
says "$TMP/good:3:1: "
ends 1 -t application/vnd.google.protobuf check "$TMP/good"
complains "protobuf is not read"

# For programs.
ends 3 --format json check "$TMP/remarks"
python3 - "$TMP/out" "$TMP/remarks" <<'PY' || fail "json: $(cat "$TMP/out")"
import json, sys
page = json.load(open(sys.argv[1]))
assert page == {"file": sys.argv[2], "ok": True, "families": 1, "series": 1,
                "remarks": [{"metric": "a", "text": "no help text"}]}, page
PY
ends 1 --format json check "$TMP/bad"
python3 -c 'import json, sys
page = json.load(open(sys.argv[1]))
assert (page["ok"], page["line"], page["column"]) == (False, 2, 3), page' "$TMP/out" ||
    fail "json: $(cat "$TMP/out")"

# Usage, and what is not there.
ends 2
complains "no command given"
ends 2 nonsense
complains "unknown command 'nonsense'"
ends 2 check a b
complains "unexpected word 'b'"
ends 2 --format xml check
ends 1 jobs
complains "'jobs' is not built yet"
ends 1 check "$TMP/absent"
complains "proxyctl: $TMP/absent: No such file"
ends 1 check "$TMP"
complains "Is a directory"
"$ctl" --help | grep -q 'check \[FILE\]' || fail "--help does not show the command"
"$ctl" --help | grep -qE '^ *(jobs|alarms|top)' && fail "--help shows what is not built"
completion=$BIN/../share/bash-completion/completions/proxyctl
want "completion" "$(bash -c ". '$completion'; COMP_WORDS=(proxyctl che); COMP_CWORD=1
    _proxyctl; echo \"\${COMPREPLY[@]}\"")" check

# Remarks beside promtool's: the same metrics for the same reasons.
cat >"$TMP/style" <<'TXT'
# HELP latencyMilliseconds camels
# TYPE latencyMilliseconds gauge
latencyMilliseconds{hostName="a"} 1
# TYPE requests counter
requests{le="1",quantile="2"} 1
requests{le="2",quantile="2"} 1
# HELP level:gauge:x colons
# TYPE level:gauge:x gauge
level:gauge:x 1
# HELP used_gauge_total total
# TYPE used_gauge_total gauge
used_gauge_total 1
# HELP a_bucket buckets
# TYPE a_bucket gauge
a_bucket 1
# TYPE a_sum counter
a_sum 1
# HELP b_count count
# TYPE b_count gauge
b_count{le="x"} 1
# HELP wait_ms abbreviated
# TYPE wait_ms histogram
wait_ms_bucket{le="1"} 1
wait_ms_bucket{le="+Inf"} 1
wait_ms_sum 1
wait_ms_count 1
# HELP age_days_S upper case
# TYPE age_days_S summary
age_days_S{quantile="1"} 1
age_days_S_sum 1
age_days_S_count 1
# HELP thermometers a word that ends as a unit
# TYPE thermometers gauge
thermometers 1
size_kibibytes 1
size_megabits_total 1
a_histogram 1
untyped{le="1",quantile="2"} 1
some_counter_of_things 1
# HELP empty
empty 1
TXT
if command -v promtool >/dev/null; then
    for page in "$TMP/style" "$pages"/captured/*.prom "$TMP/good"; do
        theirs=0 ours=0
        promtool check metrics <"$page" 2>"$TMP/promtool" || theirs=$?
        "$ctl" check "$page" >"$TMP/out" || ours=$?
        want "exit status for $page" $ours $theirs
        sort -u "$TMP/promtool" >"$TMP/theirs"
        sed 1d "$TMP/out" | sort >"$TMP/ours"
        diff "$TMP/theirs" "$TMP/ours" >"$TMP/diff" ||
            fail "remarks on $page, promtool's first: $(cat "$TMP/diff")"
    done
    [ "$(wc -l <"$TMP/theirs")" -eq 0 ] || fail "remarks on a page without any"
else
    skip_part promtool "no program of that name"
fi
