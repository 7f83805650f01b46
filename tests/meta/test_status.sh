#!/bin/sh
# Every status of base.h has its line in status.def with the same number, and vice versa.
. "$(dirname "$0")/lib.sh"

sed -n 's/^ *MPROXY_\(OK\|E_[A-Z]*\) = \(-\{0,1\}[0-9]*\).*/\1 \2/p' \
    "$source_dir/include/mproxy/base.h" | sort >"$scratch/header"
sed -n 's/^MPX_STATUS(\([A-Z_]*\), \(-\{0,1\}[0-9]*\), ".*/\1 \2/p' \
    "$source_dir/libmproxy/tables/status.def" | sort >"$scratch/table"
[ -s "$scratch/header" ] || complain "no status found in base.h"
diff "$scratch/header" "$scratch/table" |
    complain_lines "base.h (<) and status.def (>) differ"
cut -d' ' -f2 "$scratch/table" | sort | uniq -d | complain_lines "numbers used twice"
verdict
