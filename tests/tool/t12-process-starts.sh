#!/bin/sh
# Starts and ends of processes: shells, Python, exec, each way to end, and what can't be
# seen. Looked up in the segments; no proxy takes part.
. "$(dirname "$0")/../support/lib.sh"
need compiler bash dash python3
number=0

# counts STARTED FINISHED COMMAND...: in a rendezvous of its own.
counts() {
    started=$1 finished=$2
    shift 2
    number=$((number + 1))
    SOCKET=$TMP/$number.socket
    "$BIN/proxy_run" -u "$SOCKET" -j j -- "$@" >"$TMP/out" 2>&1 || :
    wait_for "the end of $*" nobody_lives # Python's tracker outlives its program
    want "has_started of $*" "$(said has_started)" $started
    want "has_finished of $*" "$(said has_finished)" $finished
}

nobody_lives() {
    [ "$(said live)" = 0 ]
}

counts 1 1 true
counts 1 1 false
counts 1 0 dash -c 'kill -KILL $$'
counts 2 2 dash -c '/bin/true; exit 3'
counts 2 2 dash -c '(exit 0) & wait'
counts 3 3 dash -c '/bin/true | /bin/cat; exit 0'
counts 1 1 dash -c 'exec dash -c "exec true"'
counts 1 1 bash -c /bin/true # it becomes its last command
counts 3 3 bash -c '/bin/true; (:); exit 0'
counts 2 1 bash -c '(kill -KILL $BASHPID); exit 0'

cat >"$TMP/mp.py" <<'TXT'
import multiprocessing, sys
def work(n):
    return n * n
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    ps = [multiprocessing.Process(target=work, args=(i,)) for i in range(4)]
    for p in ps: p.start()
    for p in ps: p.join()
TXT
python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
counts 5 5 "$python" "$TMP/mp.py" fork
# A resource tracker is a process of its own.
counts 6 6 "$python" "$TMP/mp.py" spawn
counts 3 3 "$python" -c 'import subprocess
subprocess.run(["/bin/true"]); subprocess.run(["/bin/false"])'
counts 2 2 "$python" -c 'import os
if os.fork() == 0: os._exit(3)
os.wait()'

cat >"$TMP/ends.c" <<'TXT'
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *end_from_thread(void *status)
{
    exit((int)(long)status);
}

static void *end_thread(void *status)
{
    syscall(SYS_exit, 0);
    return status;
}

static int end_of_clone(void *unused)
{
    (void)unused;
    return 3;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    pthread_t thread;
    if (!strcmp(how, "_exit"))
        _exit(0);
    if (!strcmp(how, "_Exit"))
        _Exit(0);
    if (!strcmp(how, "quick_exit"))
        quick_exit(0);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "thread")) {
        pthread_create(&thread, NULL, end_from_thread, NULL);
        pause();
    }
    if (!strcmp(how, "vfork-fails")) {
        if (vfork() == 0) {
            execl("/no/such/program", "x", NULL);
            _exit(127);
        }
        wait(NULL);
    }
    if (!strcmp(how, "vfork-true")) {
        if (vfork() == 0) {
            execl("/bin/true", "true", NULL);
            _exit(127);
        }
        wait(NULL);
    }
    if (!strcmp(how, "exec-fails"))
        execl("/no/such/program", "x", NULL);
    if (!strcmp(how, "clone")) { // as some runtimes fork: no handler of the C library runs
        if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
            syscall(SYS_exit_group, 0);
        wait(NULL);
    }
    if (!strcmp(how, "clone-returns")) {
        char *stack = malloc(1 << 18);
        clone(end_of_clone, stack + (1 << 18), SIGCHLD, NULL);
        wait(NULL);
    }
    if (!strcmp(how, "daemon") && daemon(0, 0) != 0)
        return 1;
    if (!strcmp(how, "thread-goes")) { // a thread's end is none of the process
        pthread_create(&thread, NULL, end_thread, NULL);
        pthread_join(thread, NULL);
        raise(SIGKILL);
    }
    if (!strcmp(how, "exit"))
        syscall(SYS_exit, 0);
    return 0;
}
TXT
"${CC:-cc}" -D_GNU_SOURCE -o "$TMP/ends" "$TMP/ends.c" -pthread
for how in return _exit _Exit quick_exit exit thread exec-fails vfork-fails; do
    counts 1 1 "$TMP/ends" $how
done
# The end by syscall() is the first that is seen of such a child.
counts 2 2 "$TMP/ends" clone
counts 2 2 "$TMP/ends" clone-returns
counts 2 2 "$TMP/ends" daemon
counts 1 0 "$TMP/ends" thread-goes
counts 1 0 "$TMP/ends" abort
counts 2 2 "$TMP/ends" vfork-true

# Programs that can't be preloaded are known by the launcher's sign alone.
if "${CC:-cc}" -static -o "$TMP/static" "$TMP/ends.c" -pthread 2>/dev/null; then
    counts 0 0 "$TMP/static" return
    want "processes" "$(said processes)" 1
fi
# Two libraries that both count are one count.
SOCKET=$TMP/both.socket
LD_PRELOAD=$LIB/libproxyclient.so "$BIN/proxy_run" -u "$SOCKET" true
want "has_started under both" "$(said has_started)" 1
want "has_finished under both" "$(said has_finished)" 1
SOCKET=$TMP/legacy.socket
mkdir -m 700 "$(rendezvous "$SOCKET")"
PROXY_PATH=$SOCKET PROXY_JOB_ID=j LD_PRELOAD=$LIB/libproxyclient.so dash -c '/bin/true; :'
want "has_started under the older library" "$(said has_started)" 2
want "has_finished under the older library" "$(said has_finished)" 2

# The peak of memory is the program's own, not what its parent had when it forked.
start_proxy --linger 200
"$python" -c 'import subprocess, sys
held = bytearray(300 << 20)
held[::4096] = bytes(len(held) // 4096)
subprocess.run(sys.argv[1:], close_fds=False)
import os
pid = os.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
os.waitpid(pid, 0)' "$BIN/proxy_run" -u "$SOCKET" -j peak -- /bin/true
wait_for "the profile" stored "peak"
get "/profiles/get?jobid=peak" | "$python" -c 'import json, sys
c = {c["name"]: c["ctype"] for c in json.load(sys.stdin)["counters"]}
gauge = c["job_process_max_resident_memory_bytes"]["Gauge"]
print(int(gauge["max"]))' >"$TMP/peak"
[ "$(cat "$TMP/peak")" -gt 100000 ] && [ "$(cat "$TMP/peak")" -lt 100000000 ] ||
    fail "peak of /bin/true: $(cat "$TMP/peak") bytes"

# A peak is no less than what is resident, though the kernel's lags behind on each CPU.
cat >"$TMP/grows.c" <<'TXT'
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

int main(void)
{
    enum { ROOM = 31 * 4096, TIMES = 60 };
    for (int i = 0; i < TIMES; i++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(i % 2, &set);
        sched_setaffinity(0, sizeof set, &set);
        void *room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(room, 1, ROOM);
    }
    return 0;
}
TXT
"${CC:-cc}" -D_GNU_SOURCE -o "$TMP/grows" "$TMP/grows.c"
"$BIN/proxy_run" -u "$SOCKET" -j grows -- "$TMP/grows"
wait_for "the profile" stored "grows"
get "/profiles/get?jobid=grows" | "$python" -c 'import json, sys
c = {c["name"]: c["ctype"] for c in json.load(sys.stdin)["counters"]}
of = lambda name: int(c[f"job_process_{name}_memory_bytes"]["Gauge"]["max"])
print(of("resident"), of("max_resident"))' >"$TMP/grows.values"
read -r resident peak <"$TMP/grows.values"
[ "$peak" -ge "$resident" ] || fail "peak of $peak bytes where $resident are resident"

# Bytes of storage are each process's own: a parent has none of the children that it waited
# for, and they are told where the process can open no file any more.
cat >"$TMP/writes.c" <<'TXT'
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// Each process writes to a file of its own: the innermost 16 MiB, the others 4 KiB. The first
// opens nothing more afterwards.
static void write_file(char *name, int depth)
{
    static const char zeroes[16 << 20];
    struct rlimit none = {0, 0};
    name[strlen(name) - 1] = (char)('a' + depth);
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    ssize_t size = depth == 0 ? sizeof zeroes : 4096;
    if (write(fd, zeroes, (size_t)size) != size || fsync(fd) != 0)
        abort();
    unlink(name);
    if (depth == 0)
        setrlimit(RLIMIT_NOFILE, &none);
}

int main(int argc, char **argv)
{
    for (int depth = 3; depth > 0; depth--)
        if (fork() != 0) {
            wait(NULL);
            write_file(argv[1], depth);
            return 0;
        }
    write_file(argv[1], 0);
    return 0;
}
TXT
"${CC:-cc}" -o "$TMP/writes" "$TMP/writes.c"
"$BIN/proxy_run" -u "$SOCKET" -j bytes -- "$TMP/writes" "$TMP/file-x"
wait_for "the profile" stored "bytes"
get "/profiles/get?jobid=bytes" | "$python" -c 'import json, sys
c = {c["name"]: c["ctype"] for c in json.load(sys.stdin)["counters"]}
print(int(c["job_process_written_bytes_total"]["Counter"]["value"]))' >"$TMP/bytes"
[ "$(df --output=fstype "$TMP" | tail -1)" != tmpfs ] || skip disk "$TMP is in memory"
[ "$(cat "$TMP/bytes")" -ge 16789504 ] && [ "$(cat "$TMP/bytes")" -lt 25000000 ] ||
    fail "written by children: $(cat "$TMP/bytes") bytes"
