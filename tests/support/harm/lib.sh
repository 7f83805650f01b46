# What the tests of harm share; sourced after ../lib.sh.
HARM=$TMP/harm
build_harm() {
    compile "$HARM" "$SUPPORT/harm/harm.c"
}

# run_both JOB SETUP WORD...: runs the words after the shell commands SETUP, once bare and
# once as a job, each in a fresh directory; they must print the same and end the same way.
# EXPORTERS: what to preload, if not the usual. BOUND: seconds that each may take.
run_both() {
    job=$1 setup=$2
    shift 2
    mkdir -p "$TMP/bare" "$TMP/job"
    # Through pipes: a limit of file sizes binds output that goes to a file.
    for run in bare job; do
        ({
            cd "$TMP/$run"
            status=0
            if [ $run = bare ]; then
                PROXY_PATH=$TMP/nobody.socket timeout "${BOUND:-30}" \
                    sh -c "$setup"'; exec "$@"' sh "$@" || status=$?
            else
                timeout "${BOUND:-30}" sh -c "$setup"'; exec "$@"' sh \
                    "$BIN/proxy_run" -u "$SOCKET" -j "$job" \
                    ${EXPORTERS:+-e "$EXPORTERS"} -- "$@" || status=$?
            fi
            echo $status >"$TMP/$run.status"
        } 2>&1 1>&3 3>&- | cat >"$TMP/$run.err") 3>&1 | cat >"$TMP/$run.out"
    done
    bare_status=$(cat "$TMP/bare.status") job_status=$(cat "$TMP/job.status")
    [ "$bare_status" -lt 124 ] || [ "$bare_status" -gt 127 ] ||
        fail "$job: can't be run at all: $(cat "$TMP/bare.err")"
    want "$job: exit status ($(cat "$TMP/job.err"))" "$job_status" "$bare_status"
    cmp "$TMP/bare.out" "$TMP/job.out" || fail "$job: another output: $(cat "$TMP/job.out")"
    cmp "$TMP/bare.err" "$TMP/job.err" || fail "$job: said on stderr: $(cat "$TMP/job.err")"
}

# told JOB WHAT...: see told.py.
told() {
    URL=$URL SOCKET=$SOCKET LOG=$LOG python3 "$SUPPORT/harm/told.py" "$@" || exit 1
}
