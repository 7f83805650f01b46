#!/bin/sh
# Programs printed in the documents, blocks under `<!-- program -->`, compile without a
# warning and run under proxy_run.
. "$(dirname "$0")/lib.sh"

for document in "$source_dir"/docs/*.md; do
    name=$(basename "$document" .md)
    awk -v mark=program -v to="$scratch/$name-" -f "$source_dir/tests/meta/blocks.awk" \
        "$document"
    for block in "$scratch/$name"-*; do
        [ -f "$block" ] || continue
        mv "$block" "$block.c"
        ${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic -D_POSIX_C_SOURCE=200809L \
            -I"$source_dir/include" -o "$block" "$block.c" -L"$build_dir/lib" \
            -lmproxy_client -lpthread -Wl,-rpath,"$build_dir/lib" ||
            { complain "a program of $name.md does not compile"; continue; }
        PROXY_PATH=$scratch/proxy.socket timeout 30 "$build_dir/bin/proxy_run" \
            -j snippets -- "$block" >"$scratch/out" 2>&1 ||
            { cat "$scratch/out"; complain "a program of $name.md fails"; }
        echo "$name: $(basename "$block")"
    done
done
rm -rf "/dev/shm/$(printf '%s' "$scratch/proxy.socket" | sed 's,/,%2F,g').d"
verdict
