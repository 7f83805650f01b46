#!/bin/sh
# The disk of the profiles is full, or read-only: jobs end and are kept, the log and /-/ready
# say so, nothing half-written ever stands under a final name, and when there is room again
# all is stored, exactly.
. "$(dirname "$0")/../support/lib.sh"
need root compiler python3 curl
if [ -z "${IN_NAMESPACE:-}" ]; then
    unshare --mount true 2>/dev/null || skip mounts "mount namespaces can't be made"
    IN_NAMESPACE=1 unshare --mount sh "$0"
    exit
fi
compile "$TMP/worker" "$SUPPORT/chaos/worker.c"
mkdir "$TMP/prefix"
mount -t tmpfs -o size=1m small "$TMP/prefix"
trap 'code=$?; umount -l "$TMP/prefix"; set +e; (exit $code); cleanup' EXIT
profiles=$TMP/prefix/profiles
number=0

# job ID NUMBER: a job that counts that often, six times over, and is killed. The worker
# counts 1, 2, 3, 1, 2, 3, ...
job() {
    number=$((number + 1))
    truncate -s 1M "$TMP/truth-$number"
    CHAOS_TRUTH=$TMP/truth-$number CHAOS_PROGRAM="fork 4 $2;count $2;kill" \
        "$BIN/proxy_run" -u "$SOCKET" -j "$1" -- "$TMP/worker" 2>/dev/null || :
}

# stored ID: its profile is written, not just known.
stored() {
    get "/profiles/get?jobid=$1" >"$TMP/stored" && ! grep -q '"provisional":true' "$TMP/stored"
}

counted() {
    get "/profiles/get?jobid=$1" >"$TMP/reply" || return 1
    python3 -c 'import json, sys
print({e["name"]: e["ctype"] for e in json.load(sys.stdin)["counters"]}["chaos_total"][
    "Counter"]["value"])' <"$TMP/reply"
}

not_ready() {
    [ "$(curl -s -o "$TMP/reply" -w '%{http_code}' "$URL/-/ready")" = 503 ] &&
        grep -q "profiles can't be saved.*$1" "$TMP/reply"
}

# Whatever is there at any moment is whole, is a profile, and has a final name.
watch_profiles() {
    python3 "$(dirname "$0")/t34-disk-faults.py" "$profiles" "$TMP/watching" "$TMP/seen"
}

: >"$TMP/watching"
watch_profiles &
WATCHER=$!
kill_later $WATCHER
start_proxy --linger 100
wait_for "the first round" get /-/ready
job first 100
wait_for "a first profile" stored first

# Full.
dd if=/dev/zero of="$TMP/prefix/filler" bs=1k 2>/dev/null || :
job full 1000
wait_for "a sentence" not_ready "No space left"
grep -q "profiles can't be .*No space left" "$LOG" || fail "nothing in the log"
want "profiles" "$(ls "$profiles" | grep -c '\.json$')" 1
get '/job?job=full' >"$TMP/reply" || fail "a job that could not be stored is forgotten"
# It is kept through a kill, and another job with it.
stop_proxy KILL
start_proxy --linger 100
job full-too 2000
wait_for "a sentence" not_ready "No space left"
wait_for "the job" get '/job?job=full-too'
want "profiles" "$(ls "$profiles" | grep -c '\.json$')" 1
rm "$TMP/prefix/filler"
for id in full full-too; do
    wait_for "the profile of '$id' in new space" stored $id
done
wait_for "being ready" get /-/ready
want "what was counted" "$(counted full)" $((6 * 1999))
want "what was counted" "$(counted full-too)" $((6 * 3999))

# Read-only.
mount -o remount,ro "$TMP/prefix"
job read-only 3000
wait_for "a sentence" not_ready "Read-only file system"
want "profiles" "$(ls "$profiles" | grep -c '\.json$')" 3
stop_proxy KILL
start_proxy --linger 100
wait_for "the log" grep -q "profiles can't be .*Read-only" "$LOG"
wait_for "a sentence" not_ready "Read-only file system"
get '/job?job=read-only' >"$TMP/reply" || fail "the job is forgotten"
get '/profiles/get?jobid=full' >"$TMP/reply" || fail "stored profiles can't be read"
mount -o remount,rw "$TMP/prefix"
WAIT_SECONDS=40 wait_for "the profile, once it is writable" \
    stored read-only
wait_for "being ready" get /-/ready
want "what was counted" "$(counted read-only)" $((6 * 6000))
want "main" "$(value chaos_total)" $((6 * (199 + 1999 + 3999 + 6000)))

rm "$TMP/watching"
wait "$WATCHER"
cat "$TMP/seen"
[ "$(wc -l <"$TMP/seen")" = 1 ] || fail "half a profile was seen"
want "what is left beside profiles" \
    "$(ls -A "$profiles" | grep -v '^[a-z-]*\.json$' | grep -v '^\.lock$')" ""
