#!/bin/sh
# Shared memory that is full or nearly so, seen from programs: they run as without us, and
# their profiles tell what was not counted.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need root compiler python3 curl
if [ -z "${IN_NAMESPACE:-}" ]; then
    unshare --mount true 2>/dev/null || skip mounts "mount namespaces can't be made"
    IN_NAMESPACE=1 unshare --mount sh "$0"
    exit
fi
mount -t tmpfs -o size=1m full /dev/shm
build_harm
start_proxy --linger 200
wait_for "the first round" get /-/ready

# fill BYTES: leaves that many free.
fill() {
    rm -f /dev/shm/filler
    dd if=/dev/zero of=/dev/shm/filler bs=4k 2>/dev/null || :
    size=$(stat -c %s /dev/shm/filler)
    truncate -s $((size - $1)) /dev/shm/filler
}
fill 0
run_both full : "$HARM" count c_total 5 grow 300 fork count c_total 1 done threads 3 c_total exit 2
told full 'uncounted.no space>=1' partial=yes c_total=none
run_both full-sh : sh -c '(exit 3); echo $?; /bin/echo two; exit 4'
told full-sh 'uncounted.no space>=1' partial=yes

# Room for few pages: what could be had counts, exactly.
for kib in 8 16 32 64; do
    fill $((kib * 1024))
    run_both "free-$kib" : "$HARM" count c_total 5 grow 3000 count c_total 1 threads 4 c_total \
        fork count c_total 1 grow 100 done exit 3
    told "free-$kib" 'uncounted.no space>=1' partial=yes
done
rm /dev/shm/filler
# It runs full in the middle.
"$BIN/proxy_run" -u "$SOCKET" -j middle -- "$HARM" count c_total 5 grow 10 await "$TMP/full" \
    grow 3000 count c_total 1 threads 2 c_total fork count c_total 1 done exit 3 >"$TMP/out" &
MIDDLE=$!
kill_later $MIDDLE
wait_for "its counter" value c_total middle
fill 0
touch "$TMP/full"
status=0
wait $MIDDLE || status=$?
want "exit status of what runs into it" $status 3
want "its output" "$(tail -n 1 "$TMP/out")" "child 0"
told middle c_total=8 grown_9_total=6 'uncounted.no space>=1' partial=yes has_finished=1
# No file more may be made.
rm /dev/shm/filler
mount -o remount,nr_inodes=$(($(df --output=iused /dev/shm | tail -n 1) + 0)) /dev/shm
run_both inodes : "$HARM" count c_total 5 fork count c_total 1 done exit 6
mount -o remount,nr_inodes=0 /dev/shm
run_both after : "$HARM" count c_total 5 grow 1000 exit 7
told after c_total=5 grown_999_total=3 partial=no
wait_for "being ready" get /-/ready
stop_proxy
want "exit status" "$STATUS" 0
