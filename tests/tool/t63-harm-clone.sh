#!/bin/sh
# Processes that share memory with the one that made them: some have no thread-local storage,
# as in the sandbox of a browser.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need root setpriv compiler python3 curl
chmod 755 "$TMP"
compile "$TMP/clone" "$SUPPORT/harm/clone.c"
start_proxy --linger 100
wait_for "the first round" get /-/ready
for exporters in process process,posix,finstrument; do
    EXPORTERS=$exporters run_both "zeroed-$exporters" : "$TMP/clone" zeroed
    told "zeroed-$exporters" has_started=1 has_finished=1 partial=no
done
grep -q '^status 2a00$' "$TMP/job.out" || fail "child: $(cat "$TMP/job.out")"
for way in beside beside-syscall beside-clone3; do
    run_both "$way" : "$TMP/clone" "$way"
    told "$way" "$(tr ' ' = <"$TMP/job.out")" partial=no
done
# The end of a child is not that of pid 1, whose number it has.
run_both first : "$TMP/clone" first
told first has_started=2 has_finished=1 c_total=1 partial=no
stop_proxy
want "exit status" "$STATUS" 0

# Chromium, as a user who is not root: its sandbox needs namespaces of users.
command -v chromium >/dev/null || skip chromium "no such command"
HOME=$TMP/home
export HOME
mkdir "$HOME"
chown 54321 "$HOME"
as_user() {
    timeout 60 setpriv --reuid 54321 --regid 54321 --clear-groups "$@"
}
browse() {
    as_user "$@" chromium --headless --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$HOME/data" --virtual-time-budget=3000 \
        --dump-dom 'data:text/html,<p>hello' 2>"$TMP/err"
}
browse >"$TMP/page" || skip userns "Chromium's sandbox does not run here"
SOCKET=$HOME/proxy.socket
browse "$BIN/proxy_run" -u "$SOCKET" -j chromium -e process,posix -- >"$TMP/watched" ||
    fail "Chromium does not run: $(cat "$TMP/err")"
cmp "$TMP/page" "$TMP/watched" || fail "another page: $(cat "$TMP/watched")"
started=$(said has_started)
[ "$started" -ge 5 ] || fail "only $started processes"
echo "Chromium: $started processes"
