#!/bin/sh
# What the linked files promise: which libraries they need, static TLS, stack, symbols.
. "$(dirname "$0")/lib.sh"

# needs FILE LIBRARY...: DT_NEEDED holds nothing else.
needs() {
    needs_file=$1
    shift
    readelf -dW "$build_dir/$needs_file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' \
        >"$scratch/needed"
    for needs_library in "$@"; do
        grep -vE "^$needs_library\.so" "$scratch/needed" >"$scratch/rest" || true
        cp "$scratch/rest" "$scratch/needed"
    done
    complain_lines "$needs_file needs more than $*" <"$scratch/needed"
}

# from glibc 2.34 on threads and dlopen are in libc itself
needs lib/libmproxy_client.so libc
needs bin/proxy_run libc
needs lib/libmetricproxy-exporter-process.so libc libmproxy_client
needs lib/libproxyclient.so libc libmproxy_client
cxx=''
grep -q 'MPROXY_STATIC_CXX:INTERNAL=1' "$build_dir/CMakeCache.txt" || cxx='libstdc++ libgcc_s'
# shellcheck disable=SC2086 # a list of words
needs lib/libmproxy.so libc libm libmproxy_client libjansson libmicrohttpd libz $cxx
needs bin/proxy-v2 libc libmproxy libmproxy_client

# The loader ends a program of another C library over a single symbol that this one lacks: no
# preloaded object needs a version after GLIBC_2.17, nor, other than weakly, what musl lacks.
musl=$(ls /lib/ld-musl-*.so.1 2>/dev/null || true)
[ -n "$musl" ] || skip_part musl "no musl to compare symbols with"
(
    cd "$build_dir/lib"
    nm -D --defined-only libmproxy_client.so ${musl:+"$musl"}
) | sed -n 's/.* [A-Za-z] \([^@]*\).*/\1/p' >"$scratch/there"
preloaded='libmproxy_client.so libproxyclient.so libmetricproxy-exporter-*.so metricproxy-mpi/*'
for file in $(cd "$build_dir/lib" && echo $preloaded); do
    [ -f "$build_dir/lib/$file" ] || continue # an exporter that was left out
    readelf -VW "$build_dir/lib/$file" | grep -o 'GLIBC_[0-9A-Z][0-9A-Z.]*' |
        { cat; echo GLIBC_2.17; } | sort -uV | sed '1,/^GLIBC_2\.17$/d' |
        complain_lines "lib/$file needs what glibc 2.17 lacks"
    case $file in metricproxy-mpi/*) continue ;; esac # loaded beside an MPI library only
    [ -z "$musl" ] ||
        nm -D --undefined-only "$build_dir/lib/$file" |
        sed -n 's/^ *U \([^@]*\).*/\1/p' | grep -vxF -f "$scratch/there" |
            complain_lines "lib/$file needs what musl lacks"
done

# A preloaded library takes its TLS from the small reserve that programs leave.
tls=$(readelf -lW "$build_dir/lib/libmproxy_client.so" | awk '$1 == "TLS" { print $6 }')
echo "static TLS of libmproxy_client: ${tls:-none}"
[ $((${tls:-0})) -le 64 ] || complain "static TLS of libmproxy_client: $((tls)) bytes, at most 64"
readelf -dW "$build_dir/lib/libmproxy_client.so" | grep -q NODELETE ||
    complain "libmproxy_client can be unloaded under its threads: -z nodelete is missing"

# Each fork copies their mappings: two for a library, as decision 0034 has it.
for file in "$build_dir"/lib/libmproxy_client.so "$build_dir"/lib/libmetricproxy-exporter-*.so; do
    readelf -lW "$file" | awk '$1 == "LOAD" && ++loads > 2 || $1 == "GNU_RELRO"' |
        complain_lines "${file#"$build_dir"/} is mapped in more than two pieces"
done

for file in "$build_dir"/lib/*.so "$build_dir"/bin/*; do
    [ -f "$file" ] || continue
    name=${file#"$build_dir"/}
    readelf -hW "$file" >/dev/null 2>&1 || continue
    readelf -lW "$file" | awk '$1 == "GNU_STACK" && $0 ~ /RWE/' |
        complain_lines "$name has an executable stack"
    readelf -dW "$file" | grep TEXTREL | complain_lines "$name has text relocations"
    ldd -r "$file" 2>&1 | grep -E 'undefined symbol|not found' |
        complain_lines "$name: undefined"
    case $name in
    lib/libm*.so | lib/libproxyclient.so)
        case $name in lib/libmetricproxy-exporter-*) continue ;; esac
        readelf -dW "$file" | grep -q '(SONAME).*\.so\.[0-9]' ||
            complain "$name has no versioned SONAME" ;;
    esac
done
verdict
