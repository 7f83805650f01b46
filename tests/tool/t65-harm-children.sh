#!/bin/sh
# Programs that confine themselves and then fork: what their children count is counted, or the
# job says that it is not.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need root compiler python3 curl
unshare --mount true 2>/dev/null || skip mounts "mount namespaces can't be made"
build_harm
start_proxy --linger 100
wait_for "the first round" get /-/ready
mkdir "$TMP/root"

# Out of reach of the rendezvous: nobody can count there, and the parent's share says so.
said_so() {
    job=$1
    shift
    run_both "$job" : "$HARM" count c_total 1 "$@" fork count c_total 100 done \
        count c_total 1 exit 5
    told "$job" c_total=2 'uncounted.forked child=1' partial=yes has_started=1
}
said_so setuid user 65534
said_so seteuid effective 65534
said_so chroot chroot "$TMP/root"
said_so private mount /dev/shm
said_so chroot-setuid chroot "$TMP/root" user 65534

# Limits of memory: the child's segment takes no more than its parent's.
for limit in as data; do
    for room in 0 8192 65536; do
        job=$limit-$room
        run_both "$job" : "$HARM" count c_total 1 limit-near $limit $room \
            fork count c_total 100 done count c_total 1 exit 5
        if [ "$(grep -c 'child 0' "$TMP/job.out")" = 1 ]; then
            told "$job" c_total=102 has_started=2 has_finished=2 partial=no
        fi
    done
done
# In a sandbox no child can have anything, and no system call says so.
run_both sandbox-syscall : "$HARM" count c_total 1 sandbox fork fork count c_total 100 done exit 5
told sandbox-syscall c_total=1 'uncounted.forked child=1' partial=yes
stop_proxy
want "exit status" "$STATUS" 0
