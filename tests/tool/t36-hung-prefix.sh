#!/bin/sh
# A prefix on a file server that does not answer, by a FUSE file system that does not: no
# request and no end waits for it, and what is late is said.
. "$(dirname "$0")/../support/lib.sh"
need curl compiler root
compile "$TMP/worker" "$SUPPORT/chaos/worker.c"
compile "$TMP/hung_fs" "$SUPPORT/hung_fs.c"
truncate -s 1M "$TMP/truth"
export CHAOS_TRUTH="$TMP/truth"

unmount() {
    umount -l "$1" 2>/dev/null || :
}

# hang DIR: from now on. Killed at the end, it lets everybody go.
hang() {
    mkdir -p "$1"
    "$TMP/hung_fs" "$1" >"$TMP/hung" 2>&1 &
    HUNG=$!
    kill_later $HUNG
    wait_for "the file system" hung_or_not
    if ! grep -q mounted "$TMP/hung"; then
        skip fuse "$(cat "$TMP/hung")"
    fi
}

hung_or_not() {
    grep -q mounted "$TMP/hung" || ! kill -0 $HUNG 2>/dev/null
}

answer() {
    kill -KILL $HUNG
    wait $HUNG 2>/dev/null || :
    unmount "$1"
}

counts() {
    CHAOS_PROGRAM="count $2" "$BIN/proxy_run" -u "$SOCKET" -j "$1" -- "$TMP/worker"
}

# code PATH [SECONDS]: of a reply, 000 if there is none by then.
code() {
    curl -s -m "${2:-10}" -o "$TMP/body" -w '%{http_code}' "$URL$1" || :
}

late() {
    [ "$(code /-/ready)" = 503 ] && grep -q 'has not answered' "$TMP/body"
}

served() {
    [ "$(code /metrics)" = 200 ]
}

# From the beginning: a dead home.
# cleanup() waits for no file system either.
trap 'status=$?; kill -KILL ${HUNG:-} 2>/dev/null || :; unmount "$TMP/prefix"
    (exit $status); cleanup' EXIT
hang "$TMP/prefix"
start_proxy --linger 100
wait_for "the first round" served
wait_for "a word about it" late
counts early 2
want "a job that has ended, from memory" "$(code '/profiles/get?jobid=early')" 200
grep -q '"provisional":true' "$TMP/body" || fail "it is not said to be provisional"
for i in 1 2 3 4; do
    curl -s -m 20 "$URL/profiles/get?jobid=none" -o "$TMP/none-$i" &
    kill_later $!
done
want "metrics meanwhile" "$(code /metrics 2)" 200
stop_proxy TERM
want "the exit status" $STATUS 0

# In the midst of its life. What is stored can't be read; what ends stays.
answer "$TMP/prefix"
start_proxy --linger 100
wait_for "the profile of a job from before" [ -s "$TMP/prefix/profiles/early.json" ]
counts later 3
wait_for "its profile" [ -s "$TMP/prefix/profiles/later.json" ]
# A file that can't be opened to its end: nobody writes into the pipe.
mv "$TMP/prefix/profiles/early.json" "$TMP/early.json"
mkfifo "$TMP/prefix/profiles/early.json"
for i in 1 2 3 4; do
    curl -s -m 20 -w '%{http_code}' -o "$TMP/late-$i" "$URL/profiles/get?jobid=early" \
        >"$TMP/code-$i" &
    eval "READER_$i=$!"
done
want "metrics meanwhile" "$(code /metrics 2)" 200
for i in 1 2 3 4; do
    eval "wait \$READER_$i" || fail "reader $i got no answer"
    want "a read that hangs" "$(cat "$TMP/code-$i")" 503
    grep -q 'has not answered' "$TMP/late-$i" || fail "it is not said why"
done
want "those that come after" "$(code '/profiles/get?jobid=later' 2)" 503
rm "$TMP/prefix/profiles/early.json"
mv "$TMP/early.json" "$TMP/prefix/profiles/early.json"
hang "$TMP/prefix"
WAIT_SECONDS=40 wait_for "a word about it" late
counts last 1
want "a job that has ended, from memory" "$(code '/profiles/get?jobid=last')" 200
want "metrics meanwhile" "$(code /metrics 2)" 200
stop_proxy TERM
want "the exit status" $STATUS 0

# It answers again: nothing is lost.
answer "$TMP/prefix"
start_proxy --linger 100
wait_for "the last profile" [ -s "$TMP/prefix/profiles/last.json" ]
for job in early later last; do
    wait_for "$job" get "/profiles/get?jobid=$job"
    get "/profiles/get?jobid=$job" | grep -q '"provisional"' && fail "$job: provisional"
done
want "main" "$(value chaos_total)" $((3 + 6 + 1))
stop_proxy TERM
