#!/bin/sh
# What programs count into is taken away while they run: their segments, the directory, the
# proxy's attention, the memory. They go on, and what was counted is there.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
build_harm
start_proxy --linger 200
wait_for "the first round" get /-/ready
DIR=$(rendezvous "$SOCKET")

# start JOB STEP...: the steps, with FILE.ready touched when they wait for FILE.
start() {
    job=$1
    shift
    "$BIN/proxy_run" -u "$SOCKET" -j "$job" -- "$HARM" "$@" >"$TMP/$job.out" 2>&1 &
    STARTED=$!
    kill_later $STARTED
}
shown() {
    [ "$(value "$2" "$1")" = "$3" ]
}
# ended PID STATUS
ended() {
    status=0
    wait "$1" || status=$?
    want "exit status of a program that lost its segment" $status "$2"
}

# The files of a job are removed, as logind does it when a user leaves.
for way in small grown forked; do
    start "file-$way" count c_total 5 await "$TMP/$way" count c_total 2 \
        $(case $way in
            grown) echo grow 2000 threads 3 c_total ;;
            forked) echo fork count c_total 1 grow 3 done exec count c_total 4 ;;
        esac) exit 3
    pids="${pids:-} $STARTED"
    wait_for "its counter" shown "file-$way" c_total 5
done
rm -f "$DIR"/*.seg
touch "$TMP/small" "$TMP/grown" "$TMP/forked"
for pid in $pids; do
    ended "$pid" 3
done
told file-small c_total=7 has_started=1 has_finished=1 partial=no
told file-grown c_total=10 has_started=1 has_finished=1 partial=yes \
    'uncounted.segment was removed=1'
told file-forked c_total=12 grown_2_total=3 has_started=2 has_finished=2

# The whole directory, with its state: the proxy makes it anew. What it had taken on counts
# exactly, whether it ends before or after; so does what comes later.
start dir-short count c_total 5 await "$TMP/short" count c_total 1 exit 1
SHORT=$STARTED
start dir-long count c_total 5 await "$TMP/long" count c_total 1 fork count c_total 1 done \
    threads 2 c_total exit 2
LONG=$STARTED
wait_for "its counter" shown dir-short c_total 5
wait_for "its counter" shown dir-long c_total 5
get '/accumulate?key=read_total&value=2' >/dev/null
wait_for "a direct counter" shown main read_total 2
get '/accumulate?key=direct_total&value=3' >/dev/null
main_before=$(value c_total)
until rm -rf "$DIR" 2>/dev/null; do :; done # it may be made anew meanwhile
touch "$TMP/short"
ended "$SHORT" 1
told dir-short c_total=6 has_finished=1
wait_for "a new directory" test -e "$DIR/state/ledger"
run_both dir-later : "$HARM" count c_total 9 grow 1500 fork count c_total 1 done exit 4
told dir-later c_total=10 grown_1499_total=3 has_finished=2 partial=no
touch "$TMP/long"
ended "$LONG" 2
told dir-long c_total=9 has_started=2 has_finished=2
wait_for "main to be exact" shown main c_total $((main_before + 1 + 10 + 4))
# And a proxy after this one knows what this one knew.
stop_proxy KILL
start_proxy --linger 200
wait_for "the first round" get /-/ready
want "main of the next proxy" "$(value c_total)" $((main_before + 15))
want "a direct counter of the next proxy" "$(value direct_total)" 3
want "one that was read when it was removed" "$(value read_total)" 2

# Removed again and again while short programs come and go: none of them is harmed.
i=0
while [ $i -lt 30 ]; do
    status=0
    rm -rf "$DIR" 2>/dev/null || :
    "$BIN/proxy_run" -u "$SOCKET" -j churn -- "$HARM" count c_total 1 grow 300 \
        fork count c_total 1 done exit 5 >"$TMP/churn.out" || status=$?
    want "churn: exit status" $status 5
    want "churn" "$(cat "$TMP/churn.out")" "child 0"
    i=$((i + 1))
done
wait_for "being ready" get /-/ready
run_both after-churn : "$HARM" count c_total 1 exit 6
told after-churn c_total=1 partial=no

# A file or a link in the directory's place is not followed, and not harmed.
stop_proxy
mkdir "$TMP/elsewhere"
rm -rf "$DIR"
ln -s "$TMP/elsewhere" "$DIR"
run_both link : "$HARM" count c_total 1 grow 300 fork count c_total 1 done exit 7
[ -z "$(ls -A "$TMP/elsewhere")" ] || fail "something was written through a link"
rm "$DIR"
echo precious >"$DIR"
run_both plain : "$HARM" count c_total 1 exit 8
want "a file in the directory's place" "$(cat "$DIR")" precious
rm "$DIR"
mkdir -m 777 "$DIR"
run_both open : "$HARM" count c_total 1 exit 9
# All but root leave a note, a link to nowhere, that they do not count.
[ "$(id -u)" = 0 ] || find "$DIR" -name '.off-*' -type l -delete
rmdir "$DIR" || fail "something was written into a directory that others may write to"

# A proxy that is stopped costs nothing: 60 programs, as fast as with one that runs.
run_many() {
    start=$(date +%s%N)
    i=0
    while [ $i -lt 60 ]; do
        timeout 20 "$BIN/proxy_run" -u "$SOCKET" -j "$1" -- "$HARM" count c_total 1 grow 20 ||
            fail "$1: exit status $?"
        i=$((i + 1))
    done
    TOOK=$((($(date +%s%N) - start) / 1000000))
}
start_proxy --linger 200
wait_for "the first round" get /-/ready
run_many running
running=$TOOK
kill -STOP "$PROXY_PID"
run_many stopped
kill -CONT "$PROXY_PID"
echo "60 programs: $running ms beside a proxy that runs, $TOOK ms beside one that is stopped"
[ "$TOOK" -le $((running * 3 + 500)) ] || fail "programs wait for a stopped proxy"
told running c_total=60 has_started=60 has_finished=60 partial=no
told stopped c_total=60 grown_19_total=180 has_started=60 has_finished=60 partial=no
stop_proxy
want "exit status" "$STATUS" 0
