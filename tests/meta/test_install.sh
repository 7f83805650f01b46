#!/bin/sh
# What is installed can be used: the examples build through pkg-config and through
# find_package(mproxy), and one runs under an installed proxy_run.
. "$(dirname "$0")/lib.sh"

prefix=$scratch/prefix
# Another prefix than the one configured: what is installed must not care where it lies.
cmake --install "$build_dir" --prefix "$prefix" >"$scratch/install.log" ||
    { cat "$scratch/install.log"; exit 1; }
for file in bin/proxy-v2 bin/proxy_v2 bin/proxy_run lib/libmproxy.so \
    lib/libmproxy_client.so lib/libproxyclient.so lib/libmetricproxy-exporter-process.so \
    include/mproxy/client.h include/metric_proxy_client.h lib/pkgconfig/mproxy.pc \
    lib/pkgconfig/mproxy-client.pc lib/pkgconfig/proxyclient.pc \
    lib/cmake/mproxy/mproxyConfig.cmake share/man/man1/proxy-v2.1 \
    share/man/man1/proxy_run.1 share/bash-completion/completions/proxy_run \
    share/man/man1/proxy_v2.1 share/bash-completion/completions/proxy_v2; do
    [ -e "$prefix/$file" ] || complain "not installed: $file"
done

installed_docs=$prefix/share/doc/mproxy
grep -oE '\]\([^)#]+' "$installed_docs/README.md" | sed 's/^](//' | grep -v '^http' |
    while IFS= read -r target; do
        [ -e "$installed_docs/$target" ] || echo "$target"
    done | complain_lines "links of the installed README.md that lead nowhere"

PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
cp -r "$installed_docs/docs/examples" "$scratch/pc"
# An example's comment says how to compile it: `//   rpath=...`, `//   cc ...`.
for example in counter daemon node_metrics legacy_client exporter_getenv; do
    sed -nE 's,^//   (rpath=|cc ),\1,p' "$scratch/pc/$example.c" >"$scratch/pc/how"
    grep -q '^cc ' "$scratch/pc/how" || complain "$example.c does not say how to compile it"
    sed -i "s,^cc ,${CC:-cc} -std=gnu11 -Wall -Wextra -Werror ," "$scratch/pc/how"
    (cd "$scratch/pc" && sh ./how) || complain "$example does not compile as it says"
done
"$scratch/pc/daemon" >"$scratch/out" 2>&1 || [ $? = 2 ] || { cat "$scratch/out"
    complain "the daemon of the examples does not start"; }

mkdir "$scratch/project"
cat >"$scratch/project/CMakeLists.txt" <<TXT
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(mproxy REQUIRED)
add_executable(counter $source_dir/docs/examples/counter.c)
target_link_libraries(counter mproxy::client)
add_executable(daemon $source_dir/docs/examples/daemon.c)
target_link_libraries(daemon mproxy::mproxy)
TXT
{
    cmake -G Ninja -S "$scratch/project" -B "$scratch/cmake" -DCMAKE_PREFIX_PATH="$prefix" &&
        cmake --build "$scratch/cmake"
} >"$scratch/cmake.log" 2>&1 || { cat "$scratch/cmake.log"; complain "find_package(mproxy)"; }

# As it is built by those who come from the older library: it runs by itself.
PROXY_PATH=$scratch/nobody "$scratch/pc/legacy_client" >"$scratch/out" 2>&1 ||
    { cat "$scratch/out"; complain "a program linked by pkg-config proxyclient does not run"; }
for program in pc/counter pc/legacy_client cmake/counter; do
    PROXY_PATH=$scratch/proxy.socket "$prefix/bin/proxy_run" -j meta-install -- \
        "$scratch/$program" >"$scratch/out" 2>&1 ||
        { cat "$scratch/out"; complain "$program failed"; }
done

# The exporter lies beside ours now, and counts: the program's calls, and nothing twice.
cat >"$scratch/calls.c" <<TXT
#include <stdlib.h>
int main(void)
{
    for (int i = 0; i < 1000; i++)
        getenv("HOME");
}
TXT
"${CC:-cc}" -O0 -fno-builtin -o "$scratch/calls" "$scratch/calls.c" || complain "calls.c"
for way in '' '-e getenv'; do
    PROXY_PATH=$scratch/getenv.socket "$prefix/bin/proxy_run" -j meta-install $way -- \
        "$scratch/calls" >"$scratch/out" 2>&1 ||
        { cat "$scratch/out"; complain "a program with the exporter of the examples failed"; }
done
shm=/dev/shm/$(printf '%s' "$scratch/getenv.socket" | sed 's,/,%2F,g').d
counted=$("$build_dir/tests/tool/segments" "$shm" | awk '$1 == "getenv_calls_total" { print $2 }')
case $counted in
20[0-9][0-9]) ;;
*) complain "the exporter of the examples counted '$counted' of 2,000 calls of getenv()" ;;
esac
rm -rf "$shm"
# proxy_run made this for the socket above.
rm -rf "/dev/shm/$(printf '%s' "$scratch/proxy.socket" | sed 's,/,%2F,g').d"
verdict
