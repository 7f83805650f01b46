# An installed tree counts programs of both MPIs, wherever it lies; and a back-end is built
# for the MPI of $MPICC too.
. "$(dirname "$0")/lib.sh"
need mpi python3 cmake
source=$(cd "$MPI_TESTS/../.." && pwd)
build=$(dirname "$BIN")
EXPORTERS=mpi

cmake --install "$build" --prefix "$TMP/prefix" >"$TMP/out" 2>&1 ||
    fail "install: $(tail -5 "$TMP/out")"
BIN=$TMP/prefix/bin
start_proxy --linger 200
for make in mpich openmpi; do
    "mpicc.$make" -O1 -w "$MPI_TESTS/traffic.c" -o "$TMP/traffic.$make"
    fresh_expectations
    mpi_run $make 2 "$TMP/traffic.$make" ring 2>"$TMP/err"
    grep mproxy: "$TMP/err" && fail "$make: it says something"
    exact "$make, installed"
done

# Without its back-end: the program runs, uncounted. Its profile says so, and no file of the
# program's that lies where stderr was.
rm "$TMP/prefix/lib/metricproxy-mpi/"libmpich*
mpi_run mpich 1 "$TMP/traffic.mpich" ring 2>"$TMP/err" || fail "it does not run"
want "lines about it" "$(grep -c mproxy: "$TMP/err")" 0
profile "$JOB"
grep -q mpi___hits "$TMP/profile.json" && fail "counted by the wrong back-end"
grep -q 'reason=\\"no back-end for its MPI' "$TMP/profile.json" || fail "the profile says nothing"
# Its own file is the first that it opens.
mpi_run mpich 1 sh -c 'exec 0<&- 1>&- 2>&-; exec "$2" ring 2>"$1"' sh "$TMP/own" \
    "$TMP/traffic.mpich"
want "lines in the program's own file" "$(wc -l <"$TMP/own")" 0

# An MPI of one's own, named by $MPICC: its back-end beside those of the system. One that
# does not work is passed over.
mkdir "$TMP/other"
echo 'int MPI_Finalize(void) { return 0; }' >"$TMP/other/mpi.c"
"${CC:-cc}" -shared -fPIC -Wl,-soname,libmpich.so.99 -o "$TMP/other/libmpich.so.99" \
    "$TMP/other/mpi.c"
include=$(mpicc.mpich -show | tr ' ' '\n' | grep '^-I' | tr '\n' ' ')
cat >"$TMP/other/mpicc" <<SH
#!/bin/sh
[ "\$1" = -show ] && { echo "cc $include"; exit; }
exec ${CC:-cc} $include "\$@" $TMP/other/libmpich.so.99
SH
chmod +x "$TMP/other/mpicc"
for mpicc in "$TMP/other/mpicc" /bin/false; do
    (cd "$source" && MPICC=$mpicc cmake --preset install -B "$TMP/build-$(basename $mpicc)") \
        >"$TMP/out" 2>&1 || fail "$(tail -20 "$TMP/out")"
    sed -n 's/^-- MPI exporter: back-ends for //p' "$TMP/out" | tr ';' '\n' | sort >"$TMP/made"
    case $mpicc in
    /bin/false) printf '%s\n' libmpi.so.40 libmpich.so.12 ;;
    *) printf '%s\n' libmpi.so.40 libmpich.so.12 libmpich.so.99 ;;
    esac >"$TMP/wanted"
    diff "$TMP/wanted" "$TMP/made" || fail "MPICC=$mpicc"
done
ninja -C "$TMP/build-mpicc" mpi_libmpich_so_99 >"$TMP/out" 2>&1 || fail "$(tail "$TMP/out")"
[ -e "$TMP/build-mpicc/lib/metricproxy-mpi/libmpich.so.99" ] || fail "its back-end"
echo "a back-end is built for the MPI of \$MPICC"
