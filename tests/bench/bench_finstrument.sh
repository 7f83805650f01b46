#!/bin/sh
# What counting costs a function built with -finstrument-functions, over the same function
# built without, beside the C library's empty hooks. Prints a line of JSON.
#
# bench_finstrument.sh BUILD
set -eu
build=${1:?the build directory}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mproxy-bench-XXXXXX")
trap 'rm -rf "$tmp" "/dev/shm/$(printf %s "$tmp" | sed 's,/,%2F,g')"*' EXIT
trap 'exit 130' INT TERM

"${CC:-cc}" -O2 -finstrument-functions -finstrument-functions-exclude-file-list=turns.h \
    -o "$tmp/functions" "$here/turns/functions.c"
counted=$("$build/bin/proxy_run" -u "$tmp/socket" -e finstrument -- "$tmp/functions")
hooks=$("$tmp/functions")
printf '%s %s\n' "$counted" "$hooks" | awk '{
    printf "{\"bench\":\"finstrument\",\"counted_ns\":%s,\"plain_ns\":%s,", $1, $2
    printf "\"extra_ns\":%.2f,\"aim_extra_ns\":20,\"empty_hooks_ns\":%s}\n", $1 - $2, $3 }'
