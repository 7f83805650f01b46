# The application never waits for the proxy: stopped, killed or absent, an MPI run and its
# exit take as long as bare. Compared with bare runs of this same test.
. "$(dirname "$0")/lib.sh"
need mpich python3
EXPORTERS=mpi
"mpicc.mpich" -O1 "$MPI_TESTS/traffic.c" -o "$TMP/traffic" 2>/dev/null
fresh_expectations

# best COMMAND...: the shortest of five runs, in milliseconds.
best() {
    best=1000000
    for _ in 1 2 3 4 5; do
        begin=$(date +%s%N)
        "$@" >/dev/null
        took=$((($(date +%s%N) - begin) / 1000000))
        [ $took -lt $best ] && best=$took
    done
    echo $best
}

bare=$(best launch mpich 2 "$TMP/traffic" ring)
absent=$(best mpi_run mpich 2 "$TMP/traffic" ring)
start_proxy
kill -STOP "$PROXY_PID"
stopped=$(best mpi_run mpich 2 "$TMP/traffic" ring)
kill -CONT "$PROXY_PID"
stop_proxy KILL
killed=$(best mpi_run mpich 2 "$TMP/traffic" ring)
echo "bare $bare ms, proxy absent $absent, stopped $stopped, killed $killed"
for took in $absent $stopped $killed; do
    # A fifth and 100 ms: what two busy cores add to a run that starts processes.
    [ "$took" -le $((bare + bare / 5 + 100)) ] || fail "$took ms against $bare ms bare"
done
