#!/bin/sh
# The proxy is killed (-9) at random while groups are pushed, summed and deleted, and at each
# crash point of the files that keep them: what was answered is there once, and once only.
# PUSH_ROUNDS and PUSH_SEED repeat a run.
. "$(dirname "$0")/../support/lib.sh"
need python3
export BIN SOCKET TMP PYTHONPATH="$SUPPORT" URL=http://127.0.0.1:0
timeout 290 python3 "$(dirname "$0")/t44-push-killed.py"
if grep -q MPROXY_CRASH_AT "$LIB/libmproxy.so"; then
    timeout 120 python3 "$(dirname "$0")/t44-push-killed.py" \
        push.write push.written push.turned push.settle
fi
