#!/bin/sh
# The README's first session works as it is written there: its blocks under `<!-- run -->`
# run one after the other, in a world of their own (network, processes, /tmp, /dev/shm), at
# the top of the sources, with mproxy installed.
. "$(dirname "$0")/lib.sh"

unshare --net --mount --pid --fork true 2>/dev/null ||
    skip netns "unshare --net --mount --pid is not permitted"
command -v ip >/dev/null || skip netns "ip is missing"
awk -v mark=run -f "$source_dir/tests/meta/blocks.awk" "$source_dir/README.md" \
    >"$scratch/session"
[ -s "$scratch/session" ] || complain "README.md has no block to run"
cmake --install "$build_dir" --prefix "$scratch/prefix" >/dev/null

mkdir "$scratch/home"
cat >"$scratch/world" <<'TXT'
set -eu
ip link set lo up
mount -t tmpfs world /mnt
mkdir /mnt/source /mnt/own
mount --bind "$1" /mnt/source
mount --bind "$2" /mnt/own
mount -t tmpfs world /dev/shm
mount -t tmpfs world /tmp
export HOME=/mnt/own/home PATH="/mnt/own/prefix/bin:$PATH"
export PKG_CONFIG_PATH=/mnt/own/prefix/lib/pkgconfig
unset LD_LIBRARY_PATH
unset PROXY_PATH PROXY_JOB_ID
cd /mnt/source
sh -eux /mnt/own/session
TXT
timeout 120 unshare --net --mount --pid --fork --kill-child --mount-proc \
    sh "$scratch/world" "$source_dir" "$scratch" >"$scratch/log" 2>&1 ||
    complain "the README's session failed"
cat "$scratch/log"
verdict
