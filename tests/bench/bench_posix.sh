#!/bin/sh
# What counting costs a libc call, over the same call bare: lines of JSON of turns/io.c.
#
# bench_posix.sh BUILD
set -eu
build=${1:?the build directory}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mproxy-bench-XXXXXX")
trap 'rm -rf "$tmp" "/dev/shm/$(printf %s "$tmp" | sed 's,/,%2F,g')"*' EXIT
trap 'exit 130' INT TERM

"${CC:-cc}" -O2 -o "$tmp/io" "$here/turns/io.c" -ldl
"$build/bin/proxy_run" -u "$tmp/socket" -e process,posix -- "$tmp/io"
