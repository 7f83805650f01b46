#!/bin/sh
# Hits and bytes of libc I/O are exact: a program that knows its own, threads, stdio, and dd
# and tar against what strace sees of them.
. "$(dirname "$0")/../support/lib.sh"
need compiler
IO=$SUPPORT/io

"${CC:-cc}" -O1 -g -D_GNU_SOURCE -o "$TMP/program" "$IO/program.c" -pthread -ldl
for mode in descriptors makers streams threads sizes errors; do
    SOCKET=$TMP/$mode.socket
    "$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- \
        "$TMP/program" $mode "$TMP" >"$TMP/expected" || fail "$mode"
    while read -r name value; do
        want "$mode: $name" "$(said "$name")" "$value"
    done <"$TMP/expected"
    echo "$mode: $(grep -c . "$TMP/expected") values are exact"
done

# The histogram of sizes: cumulative, by powers of two, for each direction.
SOCKET=$TMP/proxy.socket
start_proxy --linger 60000
"$BIN/proxy_run" -u "$SOCKET" -j sizes -e process,posix -- "$TMP/program" sizes "$TMP" >/dev/null
bucket() { value "posix_access_size_bytes_bucket{op=\"$1\",le=\"$2\"}" sizes; }
has_sizes() { [ "$(value 'posix_access_size_bytes_count{op="write"}' sizes)" = 8 ]; }
wait_for "the job's sizes" has_sizes
for pair in 1=1 2=2 4=4 8=5 2048=5 4096=6 8192=7 32768=7 65536=8 +Inf=8; do
    want "writes of at most ${pair%=*} bytes" "$(bucket write "${pair%=*}")" "${pair#*=}"
done
want "reads of at most 512 bytes" "$(bucket read 512)" 0
want "reads of at most 1024 bytes" "$(bucket read 1024)" 1
want "sum of writes" "$(value 'posix_access_size_bytes_sum{op="write"}' sizes)" 73744
echo "the histogram of sizes is right"

# compare NAME COMMAND...: reads and writes as strace sees them, less those of the loader and
# what libselinux reads through stdio, whose own calls are not the program's.
compare() {
    name=$1
    shift
    SOCKET=$TMP/$name.socket
    LC_ALL=C strace -f -y -e trace=read,write -o "$TMP/strace" "$@" >"$TMP/stdout"
    LC_ALL=C "$BIN/proxy_run" -u "$SOCKET" -j j -e process,posix -- "$@" >"$TMP/stdout"
    for call in read write; do
        grep -F " $call(" "$TMP/strace" | grep -vE '\\177ELF|</proc/filesystems>' \
            >"$TMP/calls"
        want "$name: $call" "$(said "posix___hits___$call")" "$(grep -c . "$TMP/calls")"
        want "$name: bytes of $call" "$(said "posix___size___$call")" \
            "$(awk '{ sum += $NF } END { print sum }' "$TMP/calls")"
    done
    echo "$name: $(said posix___hits___read) reads and $(said posix___hits___write) writes"
}

need strace
mkdir "$TMP/tree"
for i in 1 2 3 4 5 6 7; do
    head -c $((i * 7777)) /dev/urandom >"$TMP/tree/$i"
done
cd "$TMP"
compare dd dd if=/dev/zero of=out bs=3000 count=500 status=none
compare tar tar --numeric-owner --format=ustar -cf tree.tar tree
compare untar tar --numeric-owner -xf tree.tar
