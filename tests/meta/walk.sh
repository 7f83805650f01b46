#!/bin/sh
# How often a reader turns back who follows a counter through the files: walk.sh SOURCE BUILD.
# The steps are those of docs/architecture.md; gdb finds how each is reached. No test: it prints.
set -eu
source_dir=$1 build_dir=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'kill $gdb 2>/dev/null || :; rm -rf "$scratch" "/dev/shm/$(echo "$scratch" | sed "s,/,%2F,g")"*' EXIT
steps=$(awk -F'`' '/^<!-- walk -->/ { walk = 1 } /^#/ { walk = 0 }
    walk && NF > 4 { print $(NF - 3) ":" $(NF - 1) }' "$source_dir/docs/architecture.md")
WALK_STEPS=$steps WALK_STACKS=$scratch/stacks gdb -q -batch -x "$here/walk.py" --args \
    "$build_dir/bin/proxy-v2" -u "$scratch/socket" -t "$scratch" -p 0 -S 500 --linger 200 \
    >"$scratch/log" 2>&1 &
gdb=$!
until url=$(sed -n 's/^Proxy webserver listening on //p' "$scratch/log") && [ -n "$url" ]; do
    sleep 0.2
done
"$build_dir/bin/proxy_run" -u "$scratch/socket" -j walk -- sleep 3
for _ in 1 2 3 4 5; do
    curl -s "$url/metrics" >/dev/null
    sleep 1
done
pkill -TERM -P $gdb
wait $gdb || :
python3 "$here/walk.py" "$scratch/stacks" $steps
