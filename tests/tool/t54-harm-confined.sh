#!/bin/sh
# Programs that confine themselves or are confined: sandboxes, other roots, private mount
# namespaces. They run as without us, and count on where that is possible.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need root compiler python3 curl
unshare --mount true 2>/dev/null || skip mounts "mount namespaces can't be made"
build_harm
start_proxy --linger 100
wait_for "the first round" get /-/ready

# In a sandbox any system call but read, write and exit kills.
for way in prctl syscall; do
    run_both "sandbox-$way" : "$HARM" count c_total 1 say before sandbox $way count c_total 1 say inside \
        exit 3
    told "sandbox-$way" c_total=2 has_started=1 has_finished=1 partial=no
    run_both "sandbox-grow-$way" : "$HARM" count c_total 1 sandbox $way grow 1000 \
        count late_total 1 count c_total 1 say inside _exit 4
    told "sandbox-grow-$way" c_total=2 has_finished=1 'uncounted.sandbox=1' partial=yes
done
# A child of vfork has its parent's memory; its end and its exec are not the parent's.
cat >"$TMP/vforks.c" <<'TXT'
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &pass};
    int status = -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program))
        return 1;
    pid_t pid = vfork();
    if (pid == 0) {
        if (strcmp(argv[1], "exec") == 0)
            execl("/bin/true", "true", (char *)0);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 2;
    if (argc > 2)
        kill(getpid(), SIGKILL);
    return 3;
}
TXT
"${CC:-cc}" -O2 -D_GNU_SOURCE -o "$TMP/vforks" "$TMP/vforks.c"
for what in _exit exec; do
    run_both "vfork-$what" : "$TMP/vforks" $what
    told "vfork-$what" has_started=1 has_finished=1
    run_both "vfork-$what-killed" : "$TMP/vforks" $what killed
    told "vfork-$what-killed" has_started=1 has_finished=0 has_left=0
done
if command -v file >/dev/null; then
    run_both sandbox-file : file -b "$HARM" /bin/sh /etc/passwd
    told sandbox-file has_started=1 has_finished=1
fi

# A filter that was there before the program: an exec into it leaves our reach. The call that
# enters it is syscall(SYS_prctl, ...), and what proxy_run itself runs under is no reason.
"${CC:-cc}" -O1 -D_GNU_SOURCE -o "$TMP/jail" "$SUPPORT/harm/jail.c"
run_both jail : "$TMP/jail" /bin/cat /etc/passwd
want "exit status of cat in a filter" "$job_status" 0
told jail has_started=1 has_finished=0 has_left=1 partial=no
run_both jail-child : sh -c "('$TMP/jail' /bin/cat /etc/hostname); exit 4"
told jail-child has_started=2 has_finished=1 has_left=1 partial=no

# Another root, entered by the program itself: it has its segment, a child of later has none.
mkdir -p "$TMP/root"
run_both chroot : "$HARM" count c_total 1 chroot "$TMP/root" count c_total 1 grow 5 user 65534 \
    count c_total 1 threads 3 c_total fork count c_total 1 done exit 5
told chroot c_total=6 grown_4_total=3 has_started=1 has_finished=1
run_both chroot-grow : "$HARM" count c_total 1 chroot "$TMP/root" grow 2000 count c_total 1 exit 6
told chroot-grow c_total=2 grown_4_total=3 has_finished=1 partial=yes \
    'uncounted.segment was removed=1'
# A program of another root, where our libraries are not: the loader says so and goes on.
for file in "$HARM" $(ldd "$HARM" | grep -o '/[^ ]*'); do
    mkdir -p "$TMP/root/$(dirname "$file")"
    cp "$file" "$TMP/root/$file"
done
status=0
timeout 30 "$BIN/proxy_run" -u "$SOCKET" -j chroot-outside -- chroot "$TMP/root" "$HARM" \
    say inside count c_total 1 exit 9 >"$TMP/out" 2>/dev/null || status=$?
want "exit status of chroot" $status 9
want "output of chroot" "$(cat "$TMP/out")" inside
told chroot-outside c_total=none

# A private mount namespace: entered by the program, or what it lies in from the start.
run_both namespace : "$HARM" count c_total 1 mount /dev/shm count c_total 1 grow 5 \
    threads 3 c_total exit 7
told namespace c_total=5 grown_4_total=3 has_finished=1 partial=no
run_both namespace-grow : "$HARM" count c_total 1 mount /dev/shm grow 2000 count c_total 1 \
    fork count c_total 1 done exit 7
told namespace-grow c_total=2 has_finished=1 partial=yes 'uncounted.segment was removed=1'
run_both namespace-outer : unshare --mount sh -c 'mount -t tmpfs none /dev/shm && exec "$@"' \
    sh "$HARM" count c_total 1 say inside exit 8
status=0
timeout 30 unshare --mount sh -c 'mount -t tmpfs none /dev/shm && exec "$@"' sh \
    "$BIN/proxy_run" -v -u "$SOCKET" -j hidden -- "$HARM" say inside exit 8 \
    >"$TMP/out" 2>"$TMP/err" || status=$?
want "exit status behind a private /dev/shm" $status 8
want "output behind a private /dev/shm" "$(cat "$TMP/out")" inside
grep -q 'no proxy lives there' "$TMP/err" || fail "-v does not say that no proxy is found"
# Below /run the proxy is found from there.
stop_proxy
RUN=$(mktemp -d /run/mproxy-test-XXXXXX)
trap 'rm -rf "$RUN"; cleanup' EXIT
SOCKET=$RUN/proxy.socket
start_proxy --linger 100
unshare --mount sh -c 'mount -t tmpfs none /dev/shm && mount -t tmpfs none /tmp && exec "$@"' \
    sh "$BIN/proxy_run" -u "$SOCKET" -j seen -- sh -c 'true; exit 0'
told seen has_started=1 has_finished=1 partial=no
stop_proxy
want "exit status" "$STATUS" 0
