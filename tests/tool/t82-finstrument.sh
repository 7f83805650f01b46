#!/bin/sh
# Calls of instrumented functions are exact and have their names: static functions, those of
# shared objects, of position-independent and fixed programs, of stripped ones.
. "$(dirname "$0")/../support/lib.sh"
need compiler readelf
IO=$SUPPORT/io

build() {
    "${CC:-cc}" -O1 -g -finstrument-functions -fno-builtin "$@" -pthread || fail "cannot build: $*"
}

counts() {
    name=$1
    SOCKET=$TMP/$name.socket
    shift
    "$BIN/proxy_run" -u "$SOCKET" -j j -e process,finstrument -- "$TMP/$name" || fail "$name"
    while [ $# -gt 0 ]; do
        want "$name: $1" "$(said "func__${1%=*}")" "${1#*=}"
        shift
    done
    echo "$name: names and counts are right"
}

build -shared -fPIC -DSHARED_OBJECT -o "$TMP/libobject.so" "$IO/functions.c"
set -- "$IO/functions.c" -L"$TMP" -lobject -Wl,-rpath,"$TMP"
build -pie -fPIE -o "$TMP/pie" "$@"
build -no-pie -fno-pie -o "$TMP/fixed" "$@"
for kind in pie fixed; do
    counts $kind leaf_$kind=160000 work_$kind=8 hidden_$kind=1 recursive_$kind=100 \
        even_$kind=6 odd_$kind=5 main_$kind=1 object_function_libobject_so=5 \
        hidden_in_object_libobject_so=15
    # The client library itself may call it while the first metric is declared.
    [ "$(said func__malloc_$kind)" -ge 7 ] || fail "$kind: malloc is not counted"
done

# Without a symbol table what is exported has its name, and the rest an address.
build -pie -fPIE -rdynamic -s -o "$TMP/stripped" "$@"
counts stripped main_stripped=1 object_function_libobject_so=5
"$SEGMENTS" "$(rendezvous "$SOCKET")" >"$TMP/said"
want "leaf by its address" "$(grep -c '^func__0x[0-9a-f]*_stripped 160000$' "$TMP/said")" 1

# No other program is started to find a name.
if command -v strace >/dev/null; then
    strace -f -e trace=execve -o "$TMP/strace" \
        "$BIN/proxy_run" -u "$SOCKET" -j j -e process,finstrument -- "$TMP/pie"
    want "programs started" "$(grep -c 'execve(.* = 0$' "$TMP/strace")" 2
fi
