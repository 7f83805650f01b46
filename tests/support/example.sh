# Sourced after lib.sh by tests of docs/examples that serve.

# start_example NAME ARGUMENT...: starts it and waits until it serves: $pid, $url.
start_example() {
    example=$BIN/../docs/examples/$1
    shift
    : >"$TMP/out" # what the one before said
    "$example" "$@" >"$TMP/out" 2>"$TMP/err" &
    pid=$!
    kill_later $pid
    wait_for "it to serve, or to end" serves_or_ended
    kill -0 "$pid" 2>/dev/null || fail "it does not start: $(cat "$TMP/err")"
    url=$(sed -n 's/^serving at //p' "$TMP/out")
}

serves_or_ended() {
    grep -q '^serving at ' "$TMP/out" || ! kill -0 "$pid"
}

# stop_example: told to end it does, and all was well.
stop_example() {
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    want "the exit status" "$status" 0
}
