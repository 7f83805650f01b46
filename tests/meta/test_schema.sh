#!/bin/sh
# The checker of replies itself: it takes what is valid, and refuses every case of
# tests/data/reply/invalid (KIND.CASE) with the fault that the case is about.
. "$(dirname "$0")/lib.sh"

command -v python3 >/dev/null || skip python3 'no python3'
cd "$source_dir/tests/data/reply"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$source_dir/tests/support python3 "$(dirname "$0")/test_schema.py" >"$scratch/out"
complain_lines "the checker is wrong" <"$scratch/out"

# Its exit status and its use as a program.
run() { "$source_dir/tests/support/schema.py" "$@" 2>/dev/null; }
run job <valid/job.plain/input || complain "a valid reply: status $?"
run job <invalid/job.empty/input && complain "an invalid reply passes"
run nothing </dev/null && complain "an unknown kind passes"
verdict
