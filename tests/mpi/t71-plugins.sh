#!/bin/sh
# A plugin that uses MPI is counted when it is opened as usual. With RTLD_DEEPBIND, or in a
# namespace of its own, it goes as it goes bare, uncounted, as docs/mpi.md says.
. "$(dirname "$0")/lib.sh"
need mpi compiler
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl=self,vader

# counted NAME COMMAND...: its exit status is $STATUS, its metrics are those of $SOCKET.
counted() {
    SOCKET=$TMP/$1.socket
    shift
    STATUS=0
    timeout 60 "$BIN/proxy_run" -u "$SOCKET" -j j -e mpi -- "$@" \
        >"$TMP/out" 2>&1 || STATUS=$?
}

"${CC:-cc}" -O1 "$SUPPORT/io/opener.c" -o "$TMP/opener" -ldl || fail "cannot build"
for make in mpich openmpi; do
    "mpicc.$make" -O1 -shared -fPIC "$MPI_TESTS/plugin.c" -o "$TMP/$make.so"
    for way in local deepbind namespace; do
        bare=0
        timeout 60 "$TMP/opener" $way "$TMP/$make.so" >"$TMP/out" 2>&1 || bare=$?
        counted "$make-$way" "$TMP/opener" $way "$TMP/$make.so"
        want "$make, $way: exit status ($(cat "$TMP/out")), bare $bare" $STATUS $bare
        ranks=''
        [ $way != local ] || ranks=7
        want "$make, $way: asked for the rank" "$(said mpi___hits___mpi_comm_rank)" "$ranks"
        echo "$make, $way: status $bare, counted '$ranks'"
    done
done
