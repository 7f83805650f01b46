# Programs that no one here wrote give the same output with and without the exporters, and
# their counters are plausible: hpcc, lammps, and ScaLAPACK's test of LU for both MPIs.
# Prints the rows of the table in docs/performance.md.
. "$(dirname "$0")/lib.sh"
need mpi python3
EXPORTERS=process,mpi,posix
melt=/usr/share/lammps/examples/melt/in.melt
scalapack=/usr/lib/x86_64-linux-gnu/scalapack
command -v hpcc >/dev/null || skip realmpi "no hpcc"
command -v lmp >/dev/null && [ -e $melt ] || skip realmpi "no lammps with its examples"
for make in mpich openmpi; do
    [ -x $scalapack/$make-tests/xdlu ] || skip realmpi "no test programs of ScaLAPACK"
done
start_proxy --linger 200

# What of the output must not differ: without times and rates.
results() {
    case $1 in
    hpcc)
        grep -E 'PASSED|FAILED|Found [0-9]+ errors|Success=|_N=|VectorSize=|Procs=|maxErr=' \
            hpccoutf.txt | awk '/^(WALL|CPU)/ { print $1, $2, $3, $4, $5, $6, $7, $9; next } 1'
        ;;
    lammps)
        sed -n '/^Step Temp/,/^Loop time/{/^Loop/!p}' "$2"
        grep -E '^(N(local|ghost|eighs)|Histogram|Total #|Ave|Neighbor list)' "$2"
        ;;
    xdlu) awk '/^WALL/ { print $1, $2, $3, $4, $5, $6, $7, $8, $NF } /tests/' "$2" ;;
    esac
}

# same NAME MAKE RANKS COMMAND...: run bare and counted; the row of the table.
same() {
    name=$1 make=$2 ranks=$3
    shift 3
    for way in bare counted; do
        mkdir -p "$TMP/$name.$make.$way"
        cd "$TMP/$name.$make.$way"
        prepare_$name
        case $way in
        bare) launch "$make" "$ranks" "$@" >"$TMP/$way.out" 2>&1 ;;
        counted) mpi_run "$make" "$ranks" "$@" >"$TMP/$way.out" 2>&1 ;;
        esac || fail "$name with $make, $way: $(tail -5 "$TMP/$way.out")"
        results $name "$TMP/$way.out" >"$TMP/$way"
    done
    [ "$(grep -c . "$TMP/bare")" -ge 8 ] || fail "$name: too little output to compare"
    diff "$TMP/bare" "$TMP/counted" >"$TMP/diff" || fail "$name: $(cat "$TMP/diff")"
    profile "$JOB"
    python3 "$MPI_TESTS/plausible.py" "$TMP/profile.json" "$ranks" >"$TMP/row" 2>"$TMP/faults" ||
        fail "$name with $make: $(cat "$TMP/faults")"
    echo "| $name | $make | $(cat "$TMP/row")"
}

prepare_hpcc() {
    sed '6s/^[0-9]*/200/' /usr/share/doc/hpcc/examples/_hpccinf.txt >hpccinf.txt
}
prepare_lammps() { :; }
# Process grids of two ranks, the other dimension too.
prepare_xdlu() {
    sed -e 's/^4\(.*number of process grids.*\)/3\1/' -e 's/^[0-9 \t]*\(values of P\)/1 1 2 \1/' \
        -e 's/^[0-9 \t]*\(values of Q\)/1 2 1 \1/' /usr/share/scalapack/LU.dat >LU.dat
}

# xdlu of ScaLAPACK before 2.2.3 decides by memory that nothing wrote: set_est.c says how, and
# gives it a value, bare and counted.
"${CC:-cc}" -O1 -shared -fPIC "$MPI_TESTS/set_est.c" -o "$TMP/set_est.so" -ldl >"$TMP/cc" 2>&1 ||
    fail "set_est.c: $(cat "$TMP/cc")"
same_xdlu() {
    # shellcheck disable=SC2016
    same xdlu "$1" 2 sh -c 'LD_PRELOAD=$0${LD_PRELOAD:+:$LD_PRELOAD} exec "$1"' \
        "$TMP/set_est.so" "$scalapack/$1-tests/xdlu"
}

same lammps openmpi 2 lmp -in $melt
same_xdlu openmpi
same_xdlu mpich
same hpcc openmpi 4 hpcc
