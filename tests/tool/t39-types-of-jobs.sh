#!/bin/sh
# One name that one job counts and another sets as a gauge: both show and store their own, only
# the sum over both leaves it out and says so, and neither job is marked.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl compiler
compile "$TMP/typed" "$SUPPORT/typed.c"
start_proxy --linger 0
wait_for "the first round" get /-/ready
export URL LOG TYPED="$TMP/typed" SOCKET PYTHONPATH="$SUPPORT"
python3 "$(dirname "$0")/t39-types-of-jobs.py"
