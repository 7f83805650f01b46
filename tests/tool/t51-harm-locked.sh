#!/bin/sh
# A user without rights whose programs lock their memory, all of it or up to a small limit:
# they run as without us. A setuid program is not watched, and its child is what it was.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
if [ -z "${SETUID_COPY:-}" ]; then
    need root setpriv
    # A copy that runs as root, for a test whose user is not; not on a nosuid file system.
    chmod 755 "$TMP"
    build_harm
    cp "$HARM" "$TMP/setuid"
    chmod 4755 "$TMP/setuid"
    SETUID_COPY=$TMP/setuid setpriv --reuid=65534 --regid=65534 --clear-groups sh "$0"
    exit
fi
build_harm
start_proxy --linger 100
wait_for "the first round" get /-/ready

for kib in 0 8 64 256; do
    run_both "locked-$kib" "ulimit -l $kib" "$HARM" count c_total 1 lock-memory count c_total 1 \
        grow 2000 count c_total 1 exit 4
    told "locked-$kib" c_total=3 grown_0_total=3 has_started=1 has_finished=1
done
# With too little for all names what is missing is said.
told locked-8 'uncounted.no memory=1' partial=yes
# A name of later may find no room at all.
run_both locked-first 'ulimit -l 8' "$HARM" lock-memory count c_total 1 exit 5
told locked-first 'uncounted.no memory=1' partial=yes c_total=none has_finished=1
# Neither a child nor the next image inherits locks.
run_both locked-fork 'ulimit -l 8' "$HARM" count c_total 1 lock-memory \
    fork count c_total 1 grow 100 done exec count c_total 1 lock-memory count c_total 1 exit 5
told locked-fork c_total=4 grown_99_total=3 has_started=2 has_finished=2

# Nothing of the user's environment reaches a program of another's rights.
run_both setuid : "$SETUID_COPY" user -1 count c_total 1 exit 6
grep -q 'effective 0' "$TMP/job.out" || skip setuid "set-user-id bits are ignored here"
told setuid c_total=none has_started=1 has_finished=0 has_left=1
run_both setuid-child : sh -c '"$1" user -1 exit 3; echo $?' sh "$SETUID_COPY"
told setuid-child has_started=1 has_finished=1
stop_proxy
want "exit status" "$STATUS" 0
