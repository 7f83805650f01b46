#!/bin/sh
# The checker of replies itself: it takes what is valid, and refuses every case of
# tests/data/reply/invalid (KIND.CASE) with the fault that the case is about.
. "$(dirname "$0")/lib.sh"

command -v python3 >/dev/null || skip python3 'no python3'
cd "$source_dir/tests/data/reply"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$source_dir/tests/support python3 - >"$scratch/out" <<'EOF'
import pathlib
import schema

cases = sorted(pathlib.Path(".").glob("*/*/input"))
assert len(cases) > 50, "where are the cases?"
for case in cases:
    kind = case.parent.name.partition(".")[0]
    faults = schema.check(kind, case.read_bytes())
    if case.parts[0] == "valid":
        wanted = "no fault" if faults else None
    else:
        wanted = (case.parent / "error").read_text().strip()
        wanted = None if any(wanted in fault for fault in faults) else wanted
    if wanted:
        print(f"{case.parent}: wanted {wanted}, found {faults}")
EOF
complain_lines "the checker is wrong" <"$scratch/out"

# Its exit status and its use as a program.
run() { "$source_dir/tests/support/schema.py" "$@" 2>/dev/null; }
run job <valid/job.plain/input || complain "a valid reply: status $?"
run job <invalid/job.empty/input && complain "an invalid reply passes"
run nothing </dev/null && complain "an unknown kind passes"
verdict
