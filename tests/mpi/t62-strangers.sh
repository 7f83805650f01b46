# Programs without MPI load none; scripts that start MPI programs of either make, and a
# dlopen of an MPI library, behave.
. "$(dirname "$0")/lib.sh"
need mpi python3
EXPORTERS=mpi
start_proxy --linger 200

run() {
    "$BIN/proxy_run" -u "$SOCKET" -e mpi -- "$@"
}

run ls / >"$TMP/out"
want "ls" "$(cat "$TMP/out")" "$(ls /)"
run cat /proc/self/maps >"$TMP/maps"
grep -q 'libmetricproxy-exporter-mpi' "$TMP/maps" || fail "the exporter was not preloaded"
if grep -E 'libmpi(ch)?\.so' "$TMP/maps"; then
    fail "an MPI library was loaded into cat"
fi

for make in mpich openmpi; do
    "mpicc.$make" -O1 "$MPI_TESTS/traffic.c" -o "$TMP/traffic.$make" 2>/dev/null
done
fresh_expectations
cat >"$TMP/script.sh" <<EOF
mpiexec.mpich -n 2 $TMP/traffic.mpich ring </dev/null
mpiexec.openmpi --allow-run-as-root --oversubscribe --mca oob_tcp_if_include lo \
    --mca btl self,vader -n 2 $TMP/traffic.openmpi ring </dev/null
EOF
"$BIN/proxy_run" -u "$SOCKET" -j script -e mpi -- sh "$TMP/script.sh"
profile script
python3 "$(dirname "$0")/t62-strangers.py" "$TMP/profile.json" || fail "a script that starts both makes"

for library in libmpich.so.12 libmpi.so.40; do
    run python3 -c "
import ctypes
mpi = ctypes.CDLL('$library', mode=ctypes.RTLD_LOCAL)
flag = ctypes.c_int(7)
assert mpi.MPI_Initialized(ctypes.byref(flag)) == 0 and flag.value == 0
# As an extension module does it: the name is found in the global scope first.
everywhere = ctypes.CDLL(None)
assert everywhere.MPI_Initialized(ctypes.byref(flag)) == 0 and flag.value == 0
" || fail "dlopen of $library"
    echo "dlopen of $library behaves"
done
