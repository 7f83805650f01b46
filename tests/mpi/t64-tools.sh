# Another PMPI tool below or above the exporter sees its calls, and each is counted once;
# histograms; mpi4py; and a counted call neither allocates nor locks nor asks the kernel.
. "$(dirname "$0")/lib.sh"
need mpi python3
EXPORTERS=mpi
start_proxy --linger 200

# counter NAME: its value in the profile of $JOB.
counter() {
    python3 "$(dirname "$0")/t64-tools.py" "$TMP/profile.json" "$1"
}

for make in mpich openmpi; do
    cc=mpicc.$make
    (cd "$TMP" && "$cc" -O1 -shared -fPIC "$MPI_TESTS/tool.c" -o "libtool.$make.so" &&
        "$cc" -O1 "$MPI_TESTS/sender.c" -o "bare.$make" &&
        "$cc" -O1 "$MPI_TESTS/sender.c" "$MPI_TESTS/tool.c" -o "inside.$make" &&
        "$cc" -O1 "$MPI_TESTS/sender.c" -L. -l:"libtool.$make.so" -Wl,-rpath,"$TMP" \
            -o "library.$make" &&
        "$cc" -O1 "$MPI_TESTS/quiet.c" -o "quiet.$make" -ldl) >"$TMP/cc" 2>&1 ||
        fail "$cc: $(cat "$TMP/cc")"
    for way in inside library preloaded; do
        case $way in
        preloaded)
            # shellcheck disable=SC2016
            mpi_run $make 1 sh -c 'LD_PRELOAD=$0:$LD_PRELOAD exec "$1"' \
                "$TMP/libtool.$make.so" "$TMP/bare.$make" 2>"$TMP/err"
            ;;
        *) mpi_run $make 1 "$TMP/$way.$make" 2>"$TMP/err" ;;
        esac
        profile "$JOB"
        want "$make, $way: the tool's sends" "$(grep -c '^tool saw 25 sends$' "$TMP/err")" 1
        want "$make, $way: sends" "$(counter mpi___hits___mpi_send)" 25
        want "$make, $way: bytes" "$(counter mpi___size_out___mpi_send)" 800
        echo "$make: a tool $way is called, and each send is counted once"
    done

    MPROXY_MPI_HISTOGRAMS=1 mpi_run $make 1 "$TMP/bare.$make"
    profile "$JOB"
    size='mpi_message_size_bytes_bucket{function="mpi_send",le='
    want "$make: sends of at most 16 bytes" "$(counter "$size\"16\"}")" 0
    want "$make: sends of at most 32 bytes" "$(counter "$size\"32\"}")" 25
    want "$make: bytes of sends" \
        "$(counter 'mpi_message_size_bytes_sum{function="mpi_send"}')" 800
    want "$make: durations of waits" \
        "$(counter 'mpi_call_duration_seconds_count{function="mpi_wait"}')" 25
    echo "$make: histograms count each call"

    libmpi=$(ldd "$TMP/quiet.$make" | awk '/libmpi(ch)?\.so/ { print $3 }')
    mpi_run $make 1 "$TMP/quiet.$make" "$libmpi" >"$TMP/said" ||
        fail "$make: $(cat "$TMP/said")"
    echo "$make: $(cat "$TMP/said")"
    if command -v strace >/dev/null; then
        mpi_run $make 1 strace -o "$TMP/strace" "$TMP/quiet.$make" "$libmpi" >/dev/null
        for mark in bare counted; do
            want "marks" "$(grep -c "mark-$mark" "$TMP/strace")" 2
            sed -n "/mark-$mark/,/mark-$mark/p" "$TMP/strace" | grep -v mark- |
                sed 's/(.*//' | sort | uniq -c >"$TMP/calls.$mark"
        done
        # What MPI asks for as time passes (its progress) may differ by a few.
        if grep -E 'mmap|munmap|brk|futex|open|write|madvise|mprotect|clock' \
            "$TMP/calls.counted"; then
            diff "$TMP/calls.bare" "$TMP/calls.counted" || fail "$make: system calls of ours"
        fi
    fi
done

# mpi4py loads its MPI by dlopen() of an extension module that is linked to it.
if ! /usr/bin/python3 -c 'import mpi4py.MPI' 2>/dev/null; then
    skip mpi4py "no module of that name"
fi
make=$(/usr/bin/python3 -c 'from mpi4py import MPI
print("openmpi" if "Open MPI" in MPI.Get_library_version() else "mpich")')
cat >"$TMP/program.py" <<'PY'
from mpi4py import MPI
comm = MPI.COMM_WORLD
peer = 1 - comm.rank
for i in range(40):
    buffer = bytearray(1000)
    request = comm.Irecv([buffer, MPI.BYTE], source=peer)
    comm.Send([bytes(i + 1), MPI.BYTE], dest=peer)
    request.Wait()
total = bytearray(8)
comm.Allreduce([bytearray(8), MPI.DOUBLE], [total, MPI.DOUBLE])
PY
mpi_run "$make" 2 /usr/bin/python3 "$TMP/program.py"
profile "$JOB"
want "mpi4py: sends" "$(counter mpi___hits___mpi_send)" 80
want "mpi4py: bytes sent" "$(counter mpi___size_out___mpi_send)" 1640
want "mpi4py: bytes received" "$(counter mpi___size_in___mpi_irecv)" 1640
want "mpi4py: reductions" "$(counter mpi___hits___mpi_allreduce)" 2
echo "mpi4py with $make: counts and bytes are exact"
