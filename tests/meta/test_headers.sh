#!/bin/sh
# Every public header compiles alone, as C11 and as C++17, without a warning; every options
# struct begins with struct_size and is taken by the one function that looks at it.
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
cd "$source_dir"
for type in $(sed -n 's/^typedef struct \(mproxy_[a-z_]*_options\) .*/\1/p' include/mproxy/*.h); do
    grep -A1 "^typedef struct $type " include/mproxy/*.h | grep -q 'size_t struct_size;' ||
        complain "$type does not begin with struct_size"
    grep -rqE "MPX_OPTIONS_TAKE\($type," libmproxy || complain "$type is not taken by MPX_OPTIONS_TAKE"
done
for type in $(grep -rhoE 'MPX_STRUCT_(GIVE|CHECK)\(mproxy_[a-z_]*' libmproxy --include='*.c' | sed 's/.*(//') \
    $(sed -n 's/^typedef struct \(mproxy_[a-z_]*_stats\) .*/\1/p' include/mproxy/*.h); do
    grep -A1 "^typedef struct $type " include/mproxy/*.h | grep -q 'size_t struct_size;' ||
        complain "$type does not begin with struct_size"
    case $type in
    *_stats) grep -rqE "MPX_STRUCT_GIVE\($type," libmproxy || complain "$type is not given by MPX_STRUCT_GIVE" ;;
    esac
done
grep -rnE 'struct_size *(<|>|=)' libmproxy --include='*.c' | grep -v 'struct_size = sizeof' |
    complain_lines "struct_size is looked at by base/options.c only"
# Public functions that return a status refuse wrong arguments first. Left out: those of the
# client, which take what comes and count nothing then, and mproxy_job_check_id(), whose
# argument is what it checks.
find libmproxy -name '*.c' ! -path 'libmproxy/client/*' -exec awk '
    /^mproxy_status mproxy_/ || (/^mproxy_[a-z_]*\(/ && before == "mproxy_status") {
        name = $0
        sub(/^mproxy_status /, "", name)
        sub(/\(.*/, "", name)
    }
    { before = $0 }
    wanted && $0 !~ /^ +MPX_REQUIRE/ { print FILENAME ": " wanted }
    { wanted = "" }
    /^{/ { wanted = name == "mproxy_job_check_id" ? "" : name; name = "" }' {} + |
    complain_lines "does not begin with MPX_REQUIRE (base/err.h)"
verdict
