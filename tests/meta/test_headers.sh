#!/bin/sh
# Every public header compiles alone, as C11 and as C++17, without a warning.
. "$(dirname "$0")/lib.sh"

for header in "$source_dir"/include/mproxy/*.h; do
    name=mproxy/$(basename "$header")
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' \
        "$name" "$name" >"$scratch/alone.c"
    cp "$scratch/alone.c" "$scratch/alone.cc"
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic -I"$source_dir/include" \
        -fsyntax-only "$scratch/alone.c" || complain "$name does not stand alone as C11"
    ${CXX:-c++} -std=c++17 -Wall -Wextra -Werror -pedantic -I"$source_dir/include" \
        -fsyntax-only "$scratch/alone.cc" || complain "$name does not stand alone as C++17"
    # Bindings of other languages read these files: no code, no atomics, but where code is
    # what the header is for.
    [ "$name" = mproxy/inline.h ] || grep -nE 'static +inline|_Atomic|stdatomic' "$header" |
        complain_lines "$name holds code or atomics"
done
verdict
