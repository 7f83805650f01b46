#!/bin/sh
# Shared memory is full: the proxy goes on and serves, folds what ends, refuses what it has no
# room for with a sentence, and is well again when there is room.
. "$(dirname "$0")/../support/lib.sh"
need root python3 curl
if [ -z "${IN_NAMESPACE:-}" ]; then
    unshare --mount true 2>/dev/null || skip mounts "mount namespaces can't be made"
    IN_NAMESPACE=1 unshare --mount sh "$0"
    exit
fi
mount -t tmpfs -o size=1m full /dev/shm

start_proxy --linger 300
wait_for "the first round" get /-/ready
"$BIN/proxy_run" -u "$SOCKET" -j running -- sleep 60 &
SLEEP=$!
kill_later $SLEEP
wait_for "the job" value has_started running
get '/accumulate?key=before_total&value=2' >/dev/null
export URL SOCKET PYTHONPATH="$SUPPORT"

dd if=/dev/zero of=/dev/shm/filler bs=4k 2>/dev/null || :
"$BIN/proxy_run" -u "$SOCKET" -j unseen -- true || fail "a program was harmed"
status=$(curl -s -o "$TMP/reply" -w '%{http_code}' \
    "$URL/accumulate?key=of_job_total&value=1&job=running")
want "a counter without room" "$status" 503
grep -q '"success":false' "$TMP/reply" || fail "no sentence: $(cat "$TMP/reply")"
get '/accumulate?key=before_total&value=1' >/dev/null # there is room for this one
python3 "$(dirname "$0")/t27-daemon-full.py"
wait_for "a counter while it is full" sh -c "[ \$(curl -s '$URL/job?job=main&metric=before_total' |
    sed -n 's/.*\"value\":\([0-9]*\).*/\1/p') = 3 ]"
# A job that ends now is folded, sealed and saved all the same.
kill $SLEEP
wait_for "the profile" stored 'running'
kill -0 "$PROXY_PID" || fail "the proxy ended"

rm /dev/shm/filler
wait_for "being ready" get /-/ready
"$BIN/proxy_run" -u "$SOCKET" -j after -- true
wait_for "a job of later" stored 'after'
stop_proxy KILL
start_proxy --linger 300
wait_for "the first round" get /-/ready
want "what was counted" "$(value before_total)" 3
