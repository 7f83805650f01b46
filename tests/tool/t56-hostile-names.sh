#!/bin/sh
# Job ids that lead elsewhere or are none, by every door: the launcher, the environment, a raw
# segment and the socket. They are refused, or are just names; no file appears or changes
# outside of the prefix and the rendezvous.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl strace
build_harm
mkdir -p "$TMP/outer/etc" "$TMP/work"
# The proxy under strace: every file that it makes, changes or removes.
PROXY=$BIN/proxy-v2
mkdir "$TMP/bin"
cat >"$TMP/bin/proxy-v2" <<TXT
#!/bin/sh
exec strace -f -qq -o "$TMP/trace" -e trace=%file -e signal=none "$PROXY" "\$@"
TXT
chmod +x "$TMP/bin/proxy-v2"
REAL=$BIN
BIN=$TMP/bin
start_proxy --linger 100 -t "$TMP/outer/prefix"
BIN=$REAL
wait_for "the first round" get /-/ready
DIR=$(rendezvous "$SOCKET")
find "$TMP" /etc -path "$TMP/outer/prefix" -prune -o -path "$TMP/trace" -prune -o \
    -path "$TMP/said" -prune -o -type f -print | sort >"$TMP/work/before"

cd "$TMP/work"
long=$(printf '%4096s' '' | tr ' ' x)
# By -j: refused with usage, the command is not run.
for id in '' main 'Node: x' "$long" "$(printf 'a\nb')" "$(printf 'a\377b')"; do
    status=0
    "$BIN/proxy_run" -u "$SOCKET" -j "$id" -- touch "$TMP/ran" 2>"$TMP/err" || status=$?
    want "exit status of -j '$(printf %.20s "$id")'" $status 2
    grep -q 'job id' "$TMP/err" || fail "nothing is said of -j '$id'"
done
[ ! -e "$TMP/ran" ] || fail "a command with a refused job id was run"
# By the environment: the command runs and counts for the node.
for id in main 'Node: x' "$long" "$(printf 'a\nb')" "$(printf 'a\377b')"; do
    status=0
    PROXY_JOB_ID=$id "$BIN/proxy_run" -u "$SOCKET" -- "$HARM" count env_total 1 exit 3 || status=$?
    want "exit status with PROXY_JOB_ID" $status 3
done
want_env() {
    [ "$(value env_total)" = 5 ]
}
wait_for "their sum" want_env
# Names that look like paths are names, by both.
n=0
for id in ../../etc/x a/b /etc/passwd .. . '%2e%2e%2fx' '-rf' 'a b;c$(d)`e`' '"{}' 'é ünï' '*' 'x@1'; do
    n=$((n + 1))
    status=0
    "$BIN/proxy_run" -u "$SOCKET" -j "$id" -- "$HARM" count by_total $n exit 4 || status=$?
    want "exit status of -j '$id'" $status 4
    PROXY_JOB_ID="$id/env" "$BIN/proxy_run" -u "$SOCKET" -- "$HARM" count by_total $n
    told "$id" by_total=$n has_finished=1 partial=no
    told "$id/env" by_total=$n has_finished=1 partial=no
done
export URL SOCKET PYTHONPATH="$SUPPORT:$SUPPORT/harm" DIR TMP LOG
python3 "$(dirname "$0")/t56-hostile-names.py"
cd "$TMP"
find "$TMP" /etc -path "$TMP/outer/prefix" -prune -o -path "$TMP/trace" -prune -o \
    -path "$TMP/said" -prune -o -type f -print | sort >"$TMP/work/after"
diff "$TMP/work/before" "$TMP/work/after" | grep -v "^[0-9]\|$TMP/\(err\|work\)" &&
    fail "files appeared or vanished outside of the prefix"
[ -z "$(find "$TMP/outer" -mindepth 1 -maxdepth 1 ! -name prefix ! -name etc)" ] ||
    fail "something lies beside the prefix"
kill "$(pgrep -P "$PROXY_PID" | head -n 1)"
wait "$PROXY_PID" || :
# What strace saw: paths that were opened for writing, made, renamed or removed.
grep -E 'O_WRONLY|O_RDWR|O_CREAT|rename|mkdir|unlink|rmdir|link(at)?\(|mknod|chmod|truncate' \
    "$TMP/trace" | grep -v ' = -1 ' | grep -v 'readlink' >"$TMP/changes"
[ "$(wc -l <"$TMP/changes")" -gt 50 ] || fail "strace saw little: $(head "$TMP/changes")"
grep -E '"[^"]*/\.\./|"\.\./' "$TMP/changes" && fail "a path leads upwards"
grep -oE '"/[^"]*"' "$TMP/changes" | tr -d '"' |
    grep -vE "^($TMP/outer/prefix|$DIR|$SOCKET|/dev/null|/proc/|/tmp/|/var/tmp/)" &&
    fail "a path outside of the prefix was written to"
exit 0
