# Eight threads in MPI (MPI_THREAD_MULTIPLE) and in I/O at once under the thread sanitizer:
# no data race in code of ours, and counts are exact.
#
# The exporters are built with clang's sanitizer, whose runtime lies in the program, and are
# linked before MPI instead of preloaded: the search order is the same. The wrappers of libc
# are built under names of their own (counted_write, ...), for the sanitizer itself stands on
# the real ones.
. "$(dirname "$0")/lib.sh"
need mpi python3 clang cmake ninja
echo 'int main(void) { return 0; }' >"$TMP/empty.c"
clang -fsanitize=thread "$TMP/empty.c" -o "$TMP/empty" 2>/dev/null && "$TMP/empty" ||
    skip clang "its thread sanitizer does not work"
source=$(cd "$MPI_TESTS/../.." && pwd)
bindings=$source/bindings
build=$TMP/build

(cd "$source" && CC=clang CXX=clang++ cmake --preset tsan -B "$build" -DBUILD_TESTING=OFF &&
    ninja -C "$build" -j2 mproxy_client mproxy_exporter_mpi \
        $(ls "$LIB/metricproxy-mpi" | sed 's/[.-]/_/g; s/^/mpi_/')) >"$TMP/out" 2>&1 ||
    fail "the build with the thread sanitizer: $(tail -20 "$TMP/out")"

renamed=$(sed -n 's/^POSIX_FN(\([A-Za-z0-9_]*\),.*/-D\1=counted_\1/p' \
    "$bindings/posix/functions.def")
# counted OUT COUNT.C: the posix exporter under its other names.
counted() {
    # shellcheck disable=SC2086
    clang -g -O1 -fsanitize=thread -D_GNU_SOURCE -U_FORTIFY_SOURCE -fno-builtin -w \
        -I"$source/include" -I"$bindings" -I"$bindings/posix" $renamed -shared -fPIC \
        -o "$1" "$2" "$bindings/posix/files.c" "$bindings/posix/move.c" \
        "$bindings/posix/stdio.c" "$bindings/common/ticks.c" "$bindings/common/loader.c" \
        -L"$build/lib" -lmproxy_client -Wl,-rpath,"$build/lib"
}
io='-Dwrite=counted_write -Dread=counted_read -Dopen=counted_open'

# Interceptors called by MPI's own libraries, which are not instrumented, see no order.
for library in /lib/x86_64-linux-gnu/libmpi.so /lib/x86_64-linux-gnu/libmpich.so libucp.so \
    libuct.so libucs.so libucm.so libopen-pal.so libopen-rte.so libevent_core \
    libevent_pthreads libpmix libhwloc; do
    echo "called_from_lib:$library"
done >"$TMP/suppressions"
TSAN_OPTIONS="suppressions=$TMP/suppressions exitcode=0 report_mutex_bugs=0"
export TSAN_OPTIONS

# ours FILE: the reports where an access itself is in our code, not in what it calls.
ours() {
    awk '/^=+$/ { report = ""; found = 0 }
        { report = report $0 "\n" }
        /^ *#[01] / && /\/(bindings|libmproxy)\// { found = 1 }
        /^SUMMARY/ && found { printf "%s", report; found = 0 }' "$1"
}

# The control: handles that are stored without saying so are found.
mkdir "$TMP/bad" "$TMP/good"
sed 's/mpx_handles_publish(&f->state)/f->state = MPX_HANDLES_SET/' \
    "$bindings/posix/count.c" >"$TMP/bad/count.c"
counted "$TMP/bad/libcounted.so" "$TMP/bad/count.c"
counted "$TMP/good/libcounted.so" "$bindings/posix/count.c"
# shellcheck disable=SC2086
clang -g -O1 -fsanitize=thread -D_GNU_SOURCE $io "$SUPPORT/io/program.c" -o "$TMP/program" \
    -pthread -ldl -L"$TMP/good" -lcounted
# io_threads LIBRARY: its reports in $TMP/log, its own counts in $TMP/expected.
io_threads() {
    SOCKET=$TMP/$1.socket
    mkdir -m 700 "$(rendezvous "$SOCKET")"
    LD_LIBRARY_PATH=$TMP/$1:$build/lib PROXY_PATH=$SOCKET PROXY_JOB_ID=j \
        "$TMP/program" threads "$TMP" >"$TMP/expected" 2>"$TMP/log"
}
io_threads bad
[ -n "$(ours "$TMP/log")" ] || fail "a race that was put in is not found"
io_threads good
[ -z "$(ours "$TMP/log")" ] || fail "$(ours "$TMP/log")"
while read -r name value; do
    want "I/O of threads: $name" "$(said "$name")" "$value"
done <"$TMP/expected"
echo "I/O: no race, and a race that was put in is found"

SOCKET=$TMP/proxy.socket
start_proxy --linger 200
for make in mpich openmpi; do
    # shellcheck disable=SC2086
    MPICH_CC=clang OMPI_CC=clang "mpicc.$make" -g -O1 -w -fsanitize=thread -D_GNU_SOURCE \
        -U_FORTIFY_SOURCE $io "$MPI_TESTS/traffic.c" -o "$TMP/traffic.$make" -pthread \
        -Wl,--no-as-needed -L"$build/lib" -lmetricproxy-exporter-mpi -L"$TMP/good" \
        -lcounted -Wl,-rpath,"$build/lib:$TMP/good" >"$TMP/cc" 2>&1 ||
        fail "mpicc.$make: $(cat "$TMP/cc")"
    fresh_expectations
    JOB=races-$make
    launch $make 1 env PROXY_PATH="$SOCKET" PROXY_JOB_ID="$JOB" \
        "$TMP/traffic.$make" threads >"$TMP/log" 2>&1 || fail "$make: $(tail -40 "$TMP/log")"
    [ -z "$(ours "$TMP/log")" ] || fail "$make: $(ours "$TMP/log")"
    # Under the sanitizer Open MPI's MPI_Finalize ends the program, exporter or not.
    [ $make = mpich ] || sed -i 's/,"mpi_finalize":[^]]*]//' "$EXPECT_DIR"/*.json
    exact "$make, 8 threads under the thread sanitizer"
done
