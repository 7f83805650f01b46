#!/bin/sh
# Counters raised over HTTP for jobs of one id and two users: each goes to the job that is
# shown under the name given.
[ ! -w /run ] || TMPDIR=/run
. "$(dirname "$0")/../support/lib.sh"
need root setpriv curl
chmod 755 "$TMP"
mkdir "$SOCKET.d"
chmod 1777 "$SOCKET.d"
start_proxy --linger 300
wait_for "the first round" get /-/ready

"$BIN/proxy_run" -u "$SOCKET" -j dj -- sleep 60 &
kill_later $!
wait_for "the first user's job" get '/job?job=dj'
setpriv --reuid 54321 --regid 54321 --clear-groups \
    "$BIN/proxy_run" -u "$SOCKET" -j dj -- sleep 60 &
kill_later $!
wait_for "the other user's job" get '/job?job=dj@54321'

# shows METRIC JOB VALUE
shows() {
    [ "$(value "$1" "$2")" = "$3" ]
}
get '/accumulate?key=users_total&value=4&job=dj' >/dev/null
wait_for "what was added" shows users_total dj 4
get '/set?key=users_total&value=9&job=dj' >/dev/null
wait_for "what was set" shows users_total dj 9
get '/set?key=users_total&value=7&job=dj@54321' >/dev/null
wait_for "what was set for the other" shows users_total dj@54321 7
shows users_total dj 9 || fail "the first user's counter: $(value users_total dj)"
shows users_total main 16 || fail "the sum: $(value users_total main)"
