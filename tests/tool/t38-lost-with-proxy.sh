#!/bin/sh
# Segments are removed and the proxy is killed, so that nobody has what running programs
# counted: the next proxy knows from the state file that they were there, and says so.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
build_harm
start_proxy --linger 200
wait_for "the first round" get /-/ready
DIR=$(rendezvous "$SOCKET")

# start JOB: counts 6,000, waits for $TMP/JOB, counts one more.
start() {
    "$BIN/proxy_run" -u "$SOCKET" -j "$1" -- "$HARM" count c_total 6000 \
        await "$TMP/$1" count c_total 1 exit 3 >"$TMP/$1.out" 2>&1 &
    STARTED=$!
    kill_later $STARTED
}
shown() {
    [ "$(value c_total "$1")" = "$2" ]
}
ends() {
    status=0
    touch "$TMP/$1"
    wait "$2" || status=$?
    want "exit status of $1" $status 3
}

# The files of a job; those of another one stay, while it ends and while it goes on.
start files
FILES=$STARTED
wait_for "its counter" shown files 6000
rm -f "$DIR"/*.seg
start stays
STAYS=$STARTED
start ends
ENDS=$STARTED
wait_for "its counter" shown stays 6000
wait_for "its counter" shown ends 6000
stop_proxy KILL
ends ends "$ENDS"
start_proxy --linger 200
wait_for "the first round" get /-/ready
ends stays "$STAYS"
ends files "$FILES"
told files partial=yes 'uncounted.segment was removed=1'
told stays c_total=6001 has_started=1 has_finished=1 partial=no
told ends c_total=6001 has_started=1 has_finished=1 partial=no

# The whole directory, which the proxy makes anew before it is killed; twice, since the proxy
# after it may be killed before its first round.
start directory
DIRECTORY=$STARTED
wait_for "its counter" shown directory 6000
rm -rf "$DIR"
wait_for "a new directory" test -e "$DIR/state/ledger"
start later
LATER=$STARTED
wait_for "its counter" shown later 6000
stop_proxy KILL
start_proxy --linger 200
stop_proxy KILL
start_proxy --linger 200
wait_for "the first round" get /-/ready
ends directory "$DIRECTORY"
ends later "$LATER"
told directory partial=yes 'uncounted.segment was removed=1'
told later c_total=6001 partial=no

# The directory and the proxy at once, so that the next one finds nothing and nobody knows of the
# programs but themselves.
start both
BOTH=$STARTED
wait_for "its counter" shown both 6000
kill -STOP "$PROXY_PID"
rm -rf "$DIR"
stop_proxy KILL
start_proxy --linger 200
wait_for "the first round" get /-/ready
stop_proxy KILL
start_proxy --linger 200
wait_for "the first round" get /-/ready
start after
AFTER=$STARTED
ends both "$BOTH"
ends after "$AFTER"
told both partial=yes 'uncounted.segment was removed=1'
told after c_total=6001 partial=no

# The state alone: what had ended of a job was there.
"$BIN/proxy_run" -u "$SOCKET" -j state -- sh -c '"$0" count c_total 5; exec "$0" "$@"' \
    "$HARM" count c_total 6000 await "$TMP/state" count c_total 1 exit 3 &
STATE=$!
kill_later $STATE
wait_for "its counter" shown state 6005
kill -STOP "$PROXY_PID"
rm -rf "$DIR/state"
stop_proxy KILL
start_proxy --linger 200
wait_for "the first round" get /-/ready
start fresh
FRESH=$STARTED
ends state "$STATE"
ends fresh "$FRESH"
told state partial=yes
told fresh c_total=6001 partial=no
stop_proxy
want "exit status" "$STATUS" 0
