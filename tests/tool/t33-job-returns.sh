#!/bin/sh
# A job id that comes back: within --continue and with the same command it goes on with its
# profile; after that, or with another command, it is another run and the older one is kept
# as ID@START. Also when the proxy is dead meanwhile.
. "$(dirname "$0")/../support/lib.sh"
need curl compiler
compile "$TMP/worker" "$SUPPORT/chaos/worker.c"
truncate -s 1M "$TMP/truth"
export CHAOS_TRUTH="$TMP/truth"

# counts ID NUMBER [WORD...]: a process of the job, which counts that often (below 4: 1, 3
# or 6 in sum).
counts() {
    id=$1 number=$2
    shift 2
    CHAOS_PROGRAM="count $number" "$BIN/proxy_run" -u "$SOCKET" -j "$id" -- \
        "$TMP/worker" "$@"
    ENDED=$(now_ms)
}

released() {
    get "/profiles/get?jobid=$1" >/dev/null && ! get /job/list | grep -qF "\"jobid\":\"$1\""
}

# of KEY: chaos_total and number of shares of a profile.
of() {
    get "/profiles/get?jobid=$1" >"$TMP/profile" || fail "no profile '$1'"
    python3 -c 'import json, sys
profile = json.load(sys.stdin)
values = {e["name"]: e["ctype"] for e in profile["counters"]}
print(int(values["chaos_total"]["Counter"]["value"]), len(profile["shares"]))
' <"$TMP/profile"
}

# keys ID: the profiles of a job id; how many, that is.
keys() {
    get /profiles | grep -oE "\"jobid\":\"$1(@[0-9]+)?\"" | wc -l
}

started() {
    get "/profiles/get?jobid=$1" | grep -oE '"start_time":[0-9]+' | head -n 1 | cut -d: -f2
}

# What counted last cannot go on under --continue 1; the tenth is for clock ticks.
wait_out_continue() {
    wait_past $((ENDED + 1100))
}

older() {
    ls "$TMP/prefix/profiles" | sed -n "s/^\($1@[0-9]*\)\.json$/\1/p"
}

# The newest run is answered before it is stored, which gives the older one its name.
has_older() {
    [ -n "$(older "$1")" ]
}

start_proxy --linger 100 --continue 600
wait_for "the first round" get /-/ready
counts goes-on 1
wait_for "the first profile" released goes-on
counts goes-on 2
counts other 1
wait_for "other" released other
wait_for "the second share" sh -c "curl -s '$URL/profiles/get?jobid=goes-on' |
    grep -q '\"name\":\"chaos_total\"[^}]*\"value\":4'"
want "a job that goes on" "$(of goes-on)" "4 2"
want "its profiles" "$(keys goes-on)" 1
# The same through a proxy that died in between.
stop_proxy KILL
counts goes-on 3
start_proxy --linger 100 --continue 600
wait_for "the third share" sh -c "curl -s '$URL/profiles/get?jobid=goes-on' |
    grep -q '\"name\":\"chaos_total\"[^}]*\"value\":10'"
want "a job that goes on" "$(of goes-on)" "10 3"
want "its profiles" "$(keys goes-on)" 1
# Another command is another run.
# The runs are told apart by the second in which they start.
wait_past "$(started other)999"
counts other 2 'another command'
wait_for "the other run" sh -c "curl -s '$URL/profiles/get?jobid=other' |
    grep -q '\"name\":\"chaos_total\"[^}]*\"value\":3'"
want "the newest run" "$(of other)" "3 1"
wait_for "the older run" has_older other
want "the older run" "$(of "$(older other)")" "1 1"
stop_proxy

# After --continue.
start_proxy --linger 100 --continue 1
wait_for "the first round" get /-/ready
counts returns 1
wait_for "its profile" released returns
wait_out_continue
counts returns 2
wait_for "the other run" sh -c "curl -s '$URL/profiles/get?jobid=returns' |
    grep -q '\"name\":\"chaos_total\"[^}]*\"value\":3'"
want "the newest run" "$(of returns)" "3 1"
wait_for "the older run" has_older returns
want "the older run" "$(of "$(older returns)")" "1 1"
want "profiles" "$(keys returns)" 2
# While no proxy lived: one run ended, the next one began. Neither has a share yet.
stop_proxy KILL
counts unseen 1
wait_out_continue
counts unseen 2
start_proxy --linger 100 --continue 1
wait_for "the newest run" released unseen
want "the newest run" "$(of unseen)" "3 1"
wait_for "the older run" has_older unseen
want "the older run" "$(of "$(older unseen)")" "1 1"
# A run whose share is open when the proxy dies takes no process of a later run.
CHAOS_PROGRAM='count 3;sleep 300' "$BIN/proxy_run" -u "$SOCKET" -j open -- "$TMP/worker" &
OPEN=$!
wait_for "the job" value chaos_total open
stop_proxy KILL
wait $OPEN
ENDED=$(now_ms)
wait_out_continue
counts open 2
start_proxy --linger 100 --continue 1
wait_for "the newest run" released open
want "the newest run" "$(of open)" "3 1"
wait_for "the older run" has_older open
want "the older run" "$(of "$(older open)")" "6 1"
want "main" "$(value chaos_total)" $((10 + 1 + 3 + 1 + 3 + 1 + 3 + 6 + 3))
stop_proxy

# With --continue 0 nothing goes on, not even at once.
start_proxy --linger 100 --continue 0
wait_for "the first round" get /-/ready
counts none 1
wait_for "its profile" released none
wait_past "$(started none)999"
counts none 2
wait_for "the other run" sh -c "curl -s '$URL/profiles/get?jobid=none' |
    grep -q '\"name\":\"chaos_total\"[^}]*\"value\":3'"
want "the newest run" "$(of none)" "3 1"
wait_for "the older run" has_older none
want "the older run" "$(of "$(older none)")" "1 1"
