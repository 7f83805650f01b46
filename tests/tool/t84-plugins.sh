#!/bin/sh
# What docs/io.md and docs/functions.md say of plugins and of indirect functions: a plugin
# opened as usual is counted, and of our own calls nothing is; with RTLD_DEEPBIND or in a
# namespace of its own it runs and is not. A program with an instrumented resolver runs; a
# library that has one and calls the function itself ends the program, counted or not.
. "$(dirname "$0")/../support/lib.sh"
need compiler
IO=$SUPPORT/io

build() {
    "${CC:-cc}" -O1 -fno-builtin -finstrument-functions "$@" -ldl || fail "cannot build: $*"
}

# counted NAME COMMAND...: its exit status is $STATUS, its metrics are those of $SOCKET.
counted() {
    SOCKET=$TMP/$1.socket
    shift
    STATUS=0
    "$BIN/proxy_run" -u "$SOCKET" -j j -e posix,finstrument -- "$@" || STATUS=$?
}

"${CC:-cc}" -O1 "$IO/opener.c" -o "$TMP/opener" -ldl || fail "cannot build"
build -shared -fPIC "$IO/plugin.c" -o "$TMP/plugin.so"
for way in local deepbind namespace; do
    case $way in
    local) open=1 read=7 close=1 work=1 step=7 ;;
    *) open='' read='' close='' work='' step='' ;;
    esac
    counted $way "$TMP/opener" $way "$TMP/plugin.so"
    want "$way: exit status" $STATUS 0
    for call in open read close lseek mmap; do
        eval "expected=\${$call-}"
        want "$way: $call" "$(said posix___hits___$call)" "$expected"
    done
    want "$way: plugin_work" "$(said func__plugin_work_plugin_so)" "$work"
    want "$way: plugin_step" "$(said func__plugin_step_plugin_so)" "$step"
    echo "$way: runs, and is counted as the docs say"
done

if ! build "$IO/resolver.c" -o "$TMP/resolver" 2>/dev/null; then
    skip ifunc "the compiler makes no indirect functions"
fi
counted resolver "$TMP/resolver"
want "resolver: exit status" $STATUS 0
want "resolver: the function it chose" "$(said func__real_work_resolver)" 1
# The call from the resolver came before there was an environment; it is no "no" for ever.
want "resolver: calls from main" "$(said func__has_feature_resolver)" 4

build -shared -fPIC -DLIBRARY "$IO/resolver.c" -o "$TMP/called.so"
build -shared -fPIC -DLIBRARY -DUSED "$IO/resolver.c" -o "$TMP/used.so"
for library in called used; do
    bare=0
    "$TMP/opener" local "$TMP/$library.so" || bare=$?
    counted $library "$TMP/opener" local "$TMP/$library.so"
    want "$library: exit status, bare $bare" $STATUS $bare
done
counted late "$TMP/opener" local "$TMP/called.so"
want "called: exit status" $STATUS 0
want "called: its resolver" "$(said func__pick_called_so)" 1
echo "resolvers: as the docs say"
