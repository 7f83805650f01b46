#!/bin/sh
# Processes that go where nothing of ours runs, by an exec of a program that can't be preloaded,
# or that end by a system call that the C library does not see: started = finished + left, and
# only what was killed is missing.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
start_proxy --linger 100
wait_for "the first round" get /-/ready

echo 'int main(void) { return 3; }' >"$TMP/three.c"
"${CC:-cc}" -static -o "$TMP/static" "$TMP/three.c" || skip static "no static C library"
cat >"$TMP/ways.c" <<'TXT'
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// Become PROGRAM in the way of that name.
static void become(const char *way, char *program)
{
    char *words[] = {program, "a", NULL}, *nothing[] = {NULL};
    if (strcmp(way, "execl") == 0)
        execl(program, program, "a", "b", (char *)NULL);
    if (strcmp(way, "execle") == 0)
        execle(program, program, "a", (char *)NULL, environ);
    if (strcmp(way, "execlp") == 0)
        execlp(program, program, (char *)NULL);
    if (strcmp(way, "execv") == 0)
        execv(program, words);
    if (strcmp(way, "execve") == 0)
        execve(program, words, nothing);
    if (strcmp(way, "execvp") == 0)
        execvp(program, words);
    if (strcmp(way, "execvpe") == 0)
        execvpe(program, words, environ);
    if (strcmp(way, "fexecve") == 0)
        fexecve(open(program, O_RDONLY | O_CLOEXEC), words, environ);
    if (strcmp(way, "syscall") == 0)
        syscall(SYS_execve, program, words, environ);
}

int main(int argc, char **argv)
{
    if (strcmp(argv[1], "exit_group") == 0)
        syscall(SYS_exit_group, 3);
    if (strcmp(argv[1], "vfork") == 0) {
        if (vfork() == 0) {
            execv(argv[2], argv + 2);
            _exit(9);
        }
        wait(NULL);
        return 3;
    }
    // A failed one is taken back; a second one leaves in a forked child.
    become(argv[1], "/nonexistent");
    if (fork() == 0)
        become(argv[1], argv[2]);
    int status = 0;
    wait(&status);
    return WEXITSTATUS(status);
}
TXT
"${CC:-cc}" -O1 -D_GNU_SOURCE -o "$TMP/ways" "$TMP/ways.c"
for way in execl execle execlp execv execve execvp execvpe fexecve syscall; do
    run_both $way : "$TMP/ways" $way "$TMP/static"
    want "$way: exit status" "$job_status" 3
    told $way has_started=2 has_finished=1 has_left=1 partial=no
    run_both $way-counted : "$TMP/ways" $way /bin/true
    # Of these the environment, and with it the exporter, is given up.
    [ $way = execve ] && left=1 || left=0
    told $way-counted has_started=2 has_finished=$((2 - left)) has_left=$left partial=no
done
run_both exit_group : "$TMP/ways" exit_group
told exit_group has_started=1 has_finished=1 has_left=0 partial=no
run_both vfork : "$TMP/ways" vfork "$TMP/static"
told vfork has_started=1 has_finished=1 has_left=0 partial=no

# The command itself: the launcher alone tells of it. Not where a tracer counts it, and not of
# a command that can't be run.
run_both command : "$TMP/static"
told command has_started=1 has_finished=0 has_left=1 partial=no
run_both command-twice : "$BIN/proxy_run" -u "$SOCKET" -- "$TMP/static"
told command-twice has_started=1 has_finished=0 has_left=1 partial=no
EXPORTERS=strace run_both command-traced : "$TMP/static"
told command-traced has_left=0
printf '#!/nonexistent\n' >"$TMP/script"
chmod +x "$TMP/script"
status=0
"$BIN/proxy_run" -u "$SOCKET" -j command-absent -- "$TMP/script" 2>/dev/null || status=$?
want "a command that can't be run" $status 126
told command-absent has_started=0 has_finished=0 has_left=0

# Real programs: one that becomes a static one, one without an environment, shells.
run_both exec : sh -c "exec '$TMP/static'"
told exec has_started=1 has_finished=0 has_left=1 partial=no
run_both emptied : sh -c 'env -i /bin/true; (exit 2); exit 4'
told emptied has_started=3 has_finished=2 has_left=1 partial=no
if command -v bash >/dev/null; then
    run_both bash : bash -c "'$TMP/static'; env -i /bin/true; (exit 2); exit 5"
    told bash has_started=4 has_finished=2 has_left=2 partial=no
fi
# The loader of the other word size says on stderr that it leaves ours out.
if "${CC:-cc}" -m32 -o "$TMP/bits32" "$TMP/three.c" 2>/dev/null && "$TMP/bits32"; [ $? = 3 ]; then
    "$BIN/proxy_run" -u "$SOCKET" -j bits32 -- "$TMP/ways" execv "$TMP/bits32" 2>/dev/null ||
        want "exit status of a 32-bit program" $? 3
    told bits32 has_started=2 has_finished=1 has_left=1 partial=no
else
    echo "no 32-bit programs here"
fi
if [ "$(id -u)" = 0 ] && command -v su >/dev/null; then
    run_both su : sh -c "su nobody -s /bin/sh -c 'exit 4'; exit 6"
    told su has_started=3 has_finished=2 has_left=1
fi
# Killed is neither.
run_both killed : sh -c 'kill -KILL $$'
told killed has_started=1 has_finished=0 has_left=0 partial=no

# What Go's linker leaves in a program that uses the C library tells that its end is not seen,
# after an exec that failed too.
cat >"$TMP/unseen.c" <<'TXT'
#include <unistd.h>

__asm__(".section .note.go.buildid, \"a\", %note\n.balign 4\n"
        ".long 4, 4, 4\n.asciz \"Go\"\n.byte 0\n.long 0\n.previous\n");

int main(int argc, char **argv)
{
    char *words[] = {"a", NULL};
    if (argc > 1)
        execv("/nonexistent", words);
    for (;;) {
#ifdef __x86_64__
        __asm__ volatile("syscall" : : "a"(231), "D"(3) : "rcx", "r11", "memory");
#else
        register long number __asm__("x8") = 94, status __asm__("x0") = 3;
        __asm__ volatile("svc 0" : : "r"(number), "r"(status) : "memory");
#endif
    }
}
TXT
"${CC:-cc}" -o "$TMP/unseen" "$TMP/unseen.c"
for how in "" after-exec; do
    status=0
    "$BIN/proxy_run" -u "$SOCKET" -j "unseen-$how" -e process -- "$TMP/unseen" $how || status=$?
    want "unseen $how: status" $status 3
    told "unseen-$how" has_started=1 has_finished=0 has_left=1 partial=no
done

# Go's runtime ends its process itself, also where the C library is used.
if command -v go >/dev/null; then
    cat >"$TMP/main.go" <<'TXT'
package main

// static int three(void) { return 3; }
import "C"
import "os"

func main() {
	println("go")
	os.Exit(int(C.three()))
}
TXT
    (cd "$TMP" && GOCACHE=$TMP/go GO111MODULE=off CGO_ENABLED=1 go build -o golang main.go) ||
        fail "a Go program does not build"
    run_both golang : "$TMP/golang"
    want "a Go program's exit status" "$job_status" 3
    told golang has_started=1 has_finished=0 has_left=1 partial=no
else
    skip go "no program of that name"
fi
stop_proxy
want "exit status" "$STATUS" 0
