#!/bin/sh
# What has ended fills shared memory itself, and all of it folded at once takes more than the
# state file's spare: it is folded bit by bit, each giving room for the next.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need root compiler python3 curl
if [ -z "${IN_NAMESPACE:-}" ]; then
    unshare --mount true 2>/dev/null || skip mounts "mount namespaces can't be made"
    IN_NAMESPACE=1 unshare --mount sh "$0"
    exit
fi
mount -t tmpfs -o size=2m full /dev/shm
build_harm
start_proxy --linger 100
wait_for "the first round" get /-/ready

# Jobs with metrics of their own, alive together.
JOBS="1 2 3 4 5 6 7 8 9 10 11 12"
for job in $JOBS; do
    "$BIN/proxy_run" -u "$SOCKET" -j "job$job" -- "$HARM" count c_total "$job" grow 300 \
        touch "$TMP/grown$job" await "$TMP/end" exit 0 >/dev/null &
    kill_later $!
done
for job in $JOBS; do
    wait_for "job $job" [ -e "$TMP/grown$job" ]
    wait_for "its counter" value c_total "job$job"
done
dd if=/dev/zero of=/dev/shm/filler bs=4k 2>/dev/null || :
touch "$TMP/end"
for job in $JOBS; do
    told "job$job" c_total="$job" grown_299_total=3 has_finished=1 partial=no
done
wait_for "being ready" get /-/ready
# Nor was it shown before it was kept.
stop_proxy KILL
start_proxy --linger 100
wait_for "the first round" get /-/ready
want "what was counted" "$(value c_total)" 78
stop_proxy
want "exit status" "$STATUS" 0
