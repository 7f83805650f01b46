#!/bin/sh
# Where nothing can be preloaded and proxy_run can know it, nothing is: no line of the loader's
# in the program's output, and the job is marked. A prefix from which nothing may be run, or
# with a blank in its path; a program of 32 bits.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need root compiler python3 curl
unshare --mount true 2>/dev/null || skip mounts "mount namespaces can't be made"

# quiet WHAT STATUS COMMAND...: prints "fine", nothing else, and ends so.
quiet() {
    what=$1 wanted=$2 status=0
    shift 2
    "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
    want "$what: exit status" $status "$wanted"
    want "$what: output" "$(cat "$TMP/out")" fine
    want "$what: stderr" "$(cat "$TMP/err")" ""
}

start_proxy --linger 100
wait_for "the first round" get /-/ready
# marked JOB: of which nothing was counted.
marked() {
    told "$1" has_started=0 has_finished=0 partial=yes
}

mkdir -p "$TMP/prefix/bin" "$TMP/prefix/lib"
cp "$BIN/proxy_run" "$TMP/prefix/bin/"
cat >"$TMP/noexec" <<'TXT'
set -e
mount -t tmpfs -o noexec none "$1/lib"
cp "$2"/libm*.so "$2"/libm*.so.? "$1/lib/"
shift 2
exec "$@"
TXT
noexec() {
    unshare --mount sh "$TMP/noexec" "$TMP/prefix" "$LIB" "$@"
}
quiet "a prefix without exec" 3 noexec "$TMP/prefix/bin/proxy_run" -u "$SOCKET" \
    -j noexec -- sh -c 'echo fine; exit 3'
marked noexec
noexec "$TMP/prefix/bin/proxy_run" -v -u "$SOCKET" -- true 2>"$TMP/said"
grep -q 'exporter process is left out: no program may be run' "$TMP/said" ||
    fail "-v says: $(cat "$TMP/said")"

mkdir -p "$TMP/a prefix/bin" "$TMP/a prefix/lib"
cp "$BIN/proxy_run" "$TMP/a prefix/bin/"
cp "$LIB"/libm*.so "$LIB"/libm*.so.? "$TMP/a prefix/lib/"
quiet "a blank in the prefix" 3 "$TMP/a prefix/bin/proxy_run" -u "$SOCKET" -j blank -- \
    sh -c 'echo fine; exit 3'
marked blank

printf '#include <stdio.h>\nint main(void) { puts("fine"); return 4; }\n' >"$TMP/four.c"
if "${CC:-cc}" -m32 -o "$TMP/bits32" "$TMP/four.c" 2>/dev/null; then
    quiet "a program of 32 bits" 4 "$BIN/proxy_run" -u "$SOCKET" -j bits32 -- \
        "$TMP/bits32"
    marked bits32
    PATH=$TMP:$PATH quiet "one in PATH" 4 "$BIN/proxy_run" -u "$SOCKET" -- bits32
else
    skip bits32 "no compiler for 32-bit programs"
fi
