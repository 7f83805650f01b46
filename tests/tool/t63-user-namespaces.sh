#!/bin/sh
# A program that enters a user namespace is another user to itself, and the same to the proxy:
# one job, all of whose processes are counted, under a user's proxy and under the node's.
. "$(dirname "$0")/../support/lib.sh"
need root python3 curl
USER_ID=4321
as_user="setpriv --reuid $USER_ID --regid $USER_ID --clear-groups"
$as_user unshare -Ur true 2>/dev/null || skip userns "no user namespaces for ordinary users"
chmod 755 "$TMP"
mkdir "$TMP/user"
chown $USER_ID "$TMP/user"
cd "$TMP/user"
export HOME="$TMP/user" XDG_DATA_HOME="$TMP/user"
system=/run/mproxy-test-$$
mkdir -m 755 "$system"
trap 'rm -rf "$system"; cleanup' EXIT

# counts NAME PROCESSES COMMAND...: so many start and end, in one job of one user.
counts() {
    name=$1 processes=$2
    shift 2
    $as_user "$BIN/proxy_run" -u "$SOCKET" -j "$name" -e process -- sh -c \
        '/bin/true; "$@" /bin/true; exit 0' sh "$@" 2>"$TMP/err" || fail "$name: $(cat "$TMP/err")"
    wait_for "the profile of $name" stored "$name"
    get "/profiles/get?jobid=$name" >"$TMP/profile"
    python3 - "$TMP/profile" "$processes" >"$TMP/verdict" <<'PY' || fail "$name: $(cat "$TMP/verdict")"
import json, sys
p = json.load(open(sys.argv[1]))
c = {e["name"]: e["ctype"].get("Counter", {}).get("value") for e in p["counters"]}
print(c.get("has_started"), c.get("has_finished"), p["partial"])
n = int(sys.argv[2])
sys.exit((c.get("has_started"), c.get("has_finished"), p["partial"]) != (n, n, []))
PY
    [ "$(get /profiles | grep -o "\"jobid\": *\"$name[^\"]*\"" | wc -l)" -le 1 ] ||
        fail "$name is more than one run: $(get /profiles)"
    echo "$name: $processes of $processes"
}

mkdir "$TMP/bin"
printf '#!/bin/sh\nexec %s "%s/proxy-v2" "$@"\n' "$as_user" "$BIN" >"$TMP/bin/proxy-v2"
chmod 755 "$TMP/bin" "$TMP/bin/proxy-v2"

for proxy in user node; do
    SOCKET=$TMP/user/proxy.socket
    tools=$BIN
    [ $proxy = node ] || BIN=$TMP/bin
    [ $proxy = user ] || SOCKET=$system/proxy.socket
    start_proxy -t "$TMP/user/prefix-$proxy" --linger 200
    BIN=$tools
    counts $proxy-unshare 3 unshare -Ur
    # It stays beside what it starts.
    ! command -v bwrap >/dev/null ||
        counts $proxy-bwrap 4 bwrap --unshare-user --dev-bind / / --
    stop_proxy
done
