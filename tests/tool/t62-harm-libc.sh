#!/bin/sh
# Programs with another C library than ours was built with: Debian 11's glibc 2.31, as in a
# container that sees the prefix, and musl. They run as without us, and are counted.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need root compiler python3 curl
unshare --mount true 2>/dev/null || skip mounts "mount namespaces can't be made"
start_proxy --linger 100
wait_for "the first round" get /-/ready

# Every exporter, for each must load.
EXPORTERS=$("$BIN/proxy_run" -l | sed -n 's/^ - //p' | grep -v '^strace$' | tr '\n' ',')
cat >"$TMP/program.c" <<'TXT'
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *write_byte(void *where)
{
    return write(*(int *)where, "x", 1) == 1 ? NULL : where;
}

int main(void)
{
    int fd = open("/dev/null", O_WRONLY);
    pthread_t thread;
    void *failed = NULL;
    if (fork() == 0)
        exit(write(fd, "child", 5) != 5);
    wait(NULL);
    pthread_create(&thread, NULL, write_byte, &fd);
    pthread_join(thread, &failed);
    printf("%zd\n", write(fd, "parent", 6));
    return failed ? 9 : 3;
}
TXT

# run_as_is JOB COMMAND...: stdout and exit status are as without us, stderr is empty.
run_as_is() {
    job=$1
    shift
    bare=0 counted=0
    "$@" >"$TMP/bare" 2>"$TMP/bare.err" || bare=$?
    "$BIN/proxy_run" -u "$SOCKET" -j "$job" -e "$EXPORTERS" -- "$@" >"$TMP/out" 2>"$TMP/err" ||
        counted=$?
    want "$job: exit status ($(cat "$TMP/err"))" $counted $bare
    cmp "$TMP/bare" "$TMP/out" || fail "$job: another output"
    cmp "$TMP/bare.err" "$TMP/err" || fail "$job: said on stderr: $(cat "$TMP/err")"
}

if command -v musl-gcc >/dev/null; then
    musl-gcc -o "$TMP/musl" "$TMP/program.c" -pthread
    run_as_is musl "$TMP/musl"
    want "a musl program's exit status" $counted 3
    told musl has_started=2 has_finished=2 posix___hits___write=3 posix___size___write=12 partial=no
    # Started by its name, the loader is what the kernel takes for the program.
    for loader in /lib/ld-musl-*.so.1; do
        run_as_is musl-loader "$loader" "$TMP/musl"
        want "the same by its loader" $counted 3
        told musl-loader has_started=2 has_finished=2 posix___hits___write=3 \
            posix___size___write=12 partial=no
    done
else
    skip musl-gcc "no program of that name"
fi

ROOT=$TMP/debian11
mkdir -p "$ROOT"
sh "$SUPPORT/debian11.sh" "$ROOT" >"$TMP/log" 2>&1 ||
    skip debian11 "its packages can't be had: $(tail -n 1 "$TMP/log")"
mkdir -p "$ROOT/proc" "$ROOT/dev" "$ROOT/tmp" "$ROOT$LIB" "$ROOT$TMP"
cat >"$TMP/inside" <<'TXT'
#!/bin/sh
# What a container does with its host's folders, then the program.
set -e
mount --rbind /dev "$1/dev"
mount --bind /proc "$1/proc"
mount --bind "$2" "$1$2"
root=$1
shift 2
exec chroot "$root" "$@"
TXT
chmod +x "$TMP/inside"
inside() {
    job=$1
    shift
    run_as_is "$job" unshare --mount "$TMP/inside" "$ROOT" "$LIB" "$@"
}
# Counted are what becomes the program, three times mount, and children: of cat, which has no
# libdl, and of bash, which has.
inside cat /bin/cat /bin/true
inside dash /bin/dash -c 'cat /dev/null; (exit 3); exit 4'
want "exit status of dash" $counted 4
inside bash /bin/bash -c '/bin/true; (exit 3); exit 5'
want "exit status of bash" $counted 5
inside dd /bin/dd if=/dev/zero of=/dev/null bs=100 count=7 status=none
told cat has_started=4 has_finished=4 partial=no
told dd posix___size___write=700 has_started=4 has_finished=4 partial=no
told dash has_started=6 has_finished=6 partial=no
told bash has_started=6 has_finished=6 partial=no
stop_proxy
want "exit status" "$STATUS" 0
