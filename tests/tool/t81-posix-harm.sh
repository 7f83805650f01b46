#!/bin/sh
# The posix exporter counts in places where little is allowed, and changes nothing there:
# before main, in signal handlers, after fork and vfork, in plugins, in fortified and large
# file builds, under and over other preloaded tools, with all descriptors closed.
. "$(dirname "$0")/../support/lib.sh"
need compiler readelf
IO=$SUPPORT/io

build() {
    out=$1 file=$2
    shift 2
    "${CC:-cc}" -g -D_GNU_SOURCE -o "$TMP/$out" "$IO/$file" "$@" -pthread -ldl ||
        fail "cannot build $out"
}

# exact NAME PROGRAM MODE: what the program says is what was counted.
exact() {
    SOCKET=$TMP/$1.socket
    "$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- "$TMP/$2" "$3" "$TMP" \
        >"$TMP/expected" || fail "$1"
    while read -r name value; do
        want "$1: $name" "$(said "$name")" "$value"
    done <"$TMP/expected"
    echo "$1: $(grep -c . "$TMP/expected") values are exact"
}

build program program.c -O1
build plugin.so writes.c -O1 -shared -fPIC -DPLUGIN
for mode in storm children closes plugin; do
    exact $mode program $mode
done

# Before libc knows the environment nobody can say where to count; that is no answer for ever.
cat >"$TMP/preinit.c" <<'TXT'
#include <unistd.h>

static void early(void)
{
    write(1, "early", 5);
}

__attribute__((section(".preinit_array"), used)) static void (*first)(void) = early;

int main(void)
{
    return write(1, "main", 4) != 4;
}
TXT
"${CC:-cc}" -o "$TMP/preinit" "$TMP/preinit.c" 2>/dev/null || fail "cannot build preinit"
SOCKET=$TMP/preinit.socket
want "its output" "$("$BIN/proxy_run" -u "$SOCKET" -j j -e posix -- "$TMP/preinit")" earlymain
want "its starts" "$(said has_started)" 1
want "its bytes" "$(said posix___size___write)" 4

# Fortified and large file builds go through names of their own: see that they do.
exact fortified program fortified
build large program.c -O1 -D_FILE_OFFSET_BITS=64
readelf -Ws "$TMP/large" >"$TMP/symbols"
for symbol in open64 pread64 lseek64 fopen64 stat64; do
    grep -q "UND $symbol@" "$TMP/symbols" || fail "the build does not call $symbol"
done
exact large large descriptors
exact large-streams large streams

# A constructor that runs before the exporter's.
build libearly.so writes.c -O1 -shared -fPIC -DEARLY
build early program.c -O1 -Wl,--no-as-needed -L"$TMP" -learly -Wl,-rpath,"$TMP"
SOCKET=$TMP/early.socket
"$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- "$TMP/early" plugin "$TMP" >/dev/null
want "writes before main" "$(said posix___hits___write)" 8
want "opens before main" "$(said posix___hits___open)" 4
want "starts" "$(said has_started)" 1

# Another tool that wraps write(): preloaded before us, and after us.
build stacked.so writes.c -O1 -shared -fPIC -DSTACKED
SOCKET=$TMP/before.socket
LD_PRELOAD=$TMP/stacked.so "$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- \
    "$TMP/program" steady "$TMP" >/dev/null 2>"$TMP/err"
want "tool before us" "$(grep -c '^stacked 1001$' "$TMP/err")" 1
want "writes under a tool" "$(said posix___hits___write)" 1001
SOCKET=$TMP/after.socket
# shellcheck disable=SC2016
"$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- \
    sh -c 'LD_PRELOAD=$LD_PRELOAD:$0 exec "$1" steady "$2"' "$TMP/stacked.so" \
    "$TMP/program" "$TMP" >/dev/null 2>"$TMP/err" || fail "$(cat "$TMP/err")"
want "tool after us" "$(grep -c '^stacked 1001$' "$TMP/err")" 1
want "writes over a tool" "$(said posix___hits___write)" 1001

# A counted call allocates nothing and makes no system call.
build steady program.c -O1 -DCOUNT_ALLOCATIONS
exact steady steady steady
if command -v strace >/dev/null; then
    SOCKET=$TMP/strace.socket
    strace -f -o "$TMP/strace" "$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- \
        "$TMP/steady" steady "$TMP" >/dev/null
    sed -n '/"marker"/,/"marker"/p' "$TMP/strace" | grep -v '"marker"' >"$TMP/between"
    want "calls in between" "$(grep -c . "$TMP/between")" 1000
    want "writes in between" "$(grep -c ' write(' "$TMP/between")" 1000
fi
if readelf -lW "$LIB/libmetricproxy-exporter-posix.so" | grep -q TLS; then
    fail "the posix exporter has thread-local storage of its own"
fi
