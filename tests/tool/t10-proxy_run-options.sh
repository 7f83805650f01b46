#!/bin/sh
# Options of proxy_run, the exporters it lists, and what it refuses.
. "$(dirname "$0")/../support/lib.sh"
run=$BIN/proxy_run

# fails STATUS TEXT WORD...: proxy_run with these words ends so, and says so.
fails() {
    status=$1 text=$2 got=0
    shift 2
    "$run" -u "$SOCKET" "$@" >"$TMP/out" 2>"$TMP/err" || got=$?
    want "status of proxy_run $*" $got $status
    grep -qF -- "$text" "$TMP/err" ||
        fail "proxy_run $*: no '$text' in: $(cat "$TMP/err")"
    sed -n 1p "$TMP/err" | grep -q '^proxy_run: ' || fail "no tool: $(cat "$TMP/err")"
}

"$run" -h | grep -q -- '--unixsocket=PATH' || fail "-h shows no option"
want "-V" "$("$run" -V)" "proxy_run 0.1.0"
want "--version" "$("$run" --version)" "proxy_run 0.1.0"

want "letters behind -h" "$("$run" -hS 2>&1)" "$("$run" -h)"

# Exporters: the form of the list is used by scripts.
"$run" -l >"$TMP/list"
grep -qx ' - process' "$TMP/list" || fail "no ' - process' in: $(cat "$TMP/list")"
grep -qv '^ - [a-z0-9_-]*$' "$TMP/list" && fail "odd line in: $(cat "$TMP/list")"
fails 1 "exporter 'nope': not found" -e process,nope true
grep -qx ' - process' "$TMP/err" || fail "no list behind an unknown exporter"

fails 2 "--exporter '': names of exporters were expected" -e '' true
fails 2 "--exporter ' ,': names" -e ' ,' true

# Usage.
fails 2 "no command given"
fails 2 "unrecognized option" --nope true
fails 2 "--period '0': a whole number from 1 to 3600000 was expected" -S 0 true
fails 2 "--period '1x': a whole number" -S 1x true
fails 2 "requires an argument" -j
for id in main "Node: n1" "" "$(printf 'a\tb')"; do
    fails 2 "job id" -j "$id" -- true
done
fails 2 "longer than 512 bytes" -j "$(printf '%0600d' 0)" true

# What is no program.
: >"$TMP/plain"
fails 127 "no-such-program: not found in PATH" no-such-program
fails 127 "/no/such/program: No such file" /no/such/program
fails 127 "the command's name is empty" ''
fails 126 "Permission denied" "$TMP/plain"
fails 126 "Is a directory" "$TMP"
[ ! -e "$(rendezvous "$SOCKET")" ] || fail "a refused command left a rendezvous"

# Of what an exporter would pass over in silence.
for value in bogus all some ''; do
    MPROXY_MPI_TIMING=$value "$run" -u "$SOCKET" -e mpi true 2>"$TMP/err"
    said=$(cat "$TMP/err")
    [ "$value" = bogus ] || want "MPROXY_MPI_TIMING=$value" "$said" ""
    [ "$value" != bogus ] || want "MPROXY_MPI_TIMING=$value" "$said" \
        "proxy_run: MPROXY_MPI_TIMING is 'bogus', one of all some was expected: ignored"
done
want "MPROXY_MPI_HISTOGRAMS=yes" "$(MPROXY_MPI_HISTOGRAMS=yes "$run" -u "$SOCKET" -e mpi \
    true 2>&1)" "proxy_run: MPROXY_MPI_HISTOGRAMS is 'yes', one of 0 1 was expected: ignored"
want "without mpi" "$(MPROXY_MPI_TIMING=bogus "$run" -u "$SOCKET" -e posix true 2>&1)" ""

# For programs.
"$run" -l --format json >"$TMP/json"
for text in '{"name":"process","path":"'"$LIB"'/libmetricproxy-exporter-process.so"' \
    '"default":true}'; do
    grep -qF -- "$text" "$TMP/json" || fail "no '$text' in: $(cat "$TMP/json")"
done
want "items" "$(grep -c '"name"' "$TMP/json")" "$(wc -l <"$TMP/list")"
want "--format table" "$("$run" --format table -l)" "$(cat "$TMP/list")"
fails 2 "--format 'xml': table or json was expected" --format xml -l

# Options end at the first word that is none, or at --.
want "options of the command" "$("$run" -u "$SOCKET" echo -l -j main)" "-l -j main"
want "options behind --" "$("$run" -u "$SOCKET" -- echo -l)" "-l"

# What the command finds in its environment.
(cd "$TMP" && LD_PRELOAD= "$run" -u proxy.socket -j job1 -S 250 -- env) >"$TMP/env"
has() {
    grep -qx -- "$1" "$TMP/env" || fail "no '$1' in: $(cat "$TMP/env")"
}
has "PROXY_JOB_ID=job1"
has "PROXY_PATH=$SOCKET"
has "PROXY_PERIOD=250"
has "METRIC_PROXY_LAUNCHER_PPID=[0-9]*"
has "MPROXY_COMMAND=env"
"$run" -u "$SOCKET" -e process -- env >"$TMP/env"
grep -q '^PROXY_JOB_ID=' "$TMP/env" && fail "a job id without -j"
has "LD_PRELOAD=$LIB/libmproxy_client.so.0:$LIB/libmetricproxy-exporter-process.so"
LD_PRELOAD=$LIB/libproxyclient.so "$run" -e process -u "$SOCKET" "$run" -e process \
    env >"$TMP/env"
has "LD_PRELOAD=$LIB/libproxyclient.so:$LIB/libmproxy_client.so.0:$LIB/.*-process.so"
want "preloads, two proxy_runs" "$(grep -o process.so "$TMP/env" | wc -l)" 1

# -v tells what is done.
"$run" -v -u "$SOCKET" -j job2 true 2>"$TMP/err"
for text in "job job2, rank 0 of 1" "socket $SOCKET: no proxy lives there" \
    "exporter process: $LIB/"; do
    grep -qF "$text" "$TMP/err" || fail "-v does not say '$text': $(cat "$TMP/err")"
done

# It needs the C library only, and finds its exporters through a link to it.
ldd "$run" 2>&1 | awk '{ print $1 }' |
    grep -qvE '^(statically|linux-vdso|libc\.|/lib|lib[aut]b*san|libm\.|libgcc_s)' &&
    fail "links more than the C library: $(ldd "$run")"
ln -s "$run" "$TMP/link"
want "list through a link" "$("$TMP/link" -l)" "$(cat "$TMP/list")"
