"""A part of test_schema.sh."""
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
