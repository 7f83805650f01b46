#!/bin/sh
# A program that asks for MPI before it has one, by a weak reference and by dlsym(), and gets
# it later with a plugin, for all or for the plugin alone: it runs, and is counted.
. "$(dirname "$0")/lib.sh"
need mpi compiler

"${CC:-cc}" -D_GNU_SOURCE -O1 -o "$TMP/late" "$MPI_TESTS/late.c"
for make in mpich openmpi; do
    "mpicc.$make" -O1 -shared -fPIC -o "$TMP/$make.so" "$MPI_TESTS/late_plugin.c"
    for scope in global local; do
        SOCKET=$TMP/$make-$scope.socket
        status=0
        "$BIN/proxy_run" -u "$SOCKET" -j late -e mpi -- "$TMP/late" "$TMP/$make.so" $scope \
            >"$TMP/out" 2>"$TMP/err" || status=$?
        want "$make, $scope: exit status ($(cat "$TMP/out" "$TMP/err"))" $status 0
        want "$make, $scope: output" "$(cat "$TMP/out")" "rank 0"
        for name in init comm_rank barrier finalize; do
            want "$make, $scope: $name" "$(said "mpi___hits___mpi_$name")" 1
        done
        want "$make, $scope: early calls" "$(said mpi___hits___mpi_initialized)" ""
    done
done
