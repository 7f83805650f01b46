#!/bin/sh
# The ranks of one mpiexec are one job, those of two are two; ranks and sizes are right,
# under proxy_run and for programs that are linked with the client library.
. "$(dirname "$0")/../support/lib.sh"
need compiler mpi

cat >"$TMP/linked.c" <<'TXT'
#include <mproxy/client.h>
int main(void)
{
    mproxy_counter_add(mproxy_counter_get("calls_total", 0, 0), 1);
    return mproxy_client_status(0) != MPROXY_OK;
}
TXT
compile "$TMP/linked" "$TMP/linked.c"

mpiexec_of() {
    mpi=$1
    shift
    case $mpi in
    mpich) mpiexec.mpich "$@" ;;
    openmpi) mpiexec.openmpi --allow-run-as-root --oversubscribe \
        --mca oob_tcp_if_include lo --mca btl self,vader "$@" ;;
    esac
}

for mpi in mpich openmpi; do
    for kind in run linked; do
        SOCKET=$TMP/$mpi-$kind.socket
        mkdir -m 700 "$(rendezvous "$SOCKET")"
        case $kind in
        run) set -- "$BIN/proxy_run" -u "$SOCKET" -- true ;;
        linked) set -- env "PROXY_PATH=$SOCKET" "$TMP/linked" ;;
        esac
        mpiexec_of $mpi -n 4 "$@"
        ids=$(said job | cut -d' ' -f1 | sort -u)
        want "$mpi, $kind: number of jobs" "$(echo "$ids" | wc -l)" 1
        [ -n "$ids" ] || fail "$mpi, $kind: no job id"
        want "$mpi, $kind: ranks and sizes" \
            "$(said job | cut -d' ' -f2,3 | sort -u | tr '\n' ',')" "0 4,1 4,2 4,3 4,"
        mpiexec_of $mpi -n 2 "$@"
        want "$mpi, $kind: jobs of two mpiexec" \
            "$(said job | cut -d' ' -f1 | sort -u | wc -l)" 2
    done
    # A shell between mpiexec and the rank, and one job id for all when the user gives it.
    SOCKET=$TMP/$mpi-shell.socket
    mpiexec_of $mpi -n 2 sh -c "'$BIN/proxy_run' -u '$SOCKET' true; true"
    want "$mpi: jobs through shells" "$(said job | cut -d' ' -f1 | sort -u | wc -l)" 1
    SOCKET=$TMP/$mpi-named.socket
    mpiexec_of $mpi -n 2 "$BIN/proxy_run" -u "$SOCKET" -j named true
    want "$mpi: the job named" "$(said job | cut -d' ' -f1 | sort -u)" named
done

# All of mpiexec under one proxy_run: one name, one command.
SOCKET=$TMP/outer.socket
"$BIN/proxy_run" -u "$SOCKET" -j outer -- mpiexec.mpich -n 2 "$BIN/proxy_run" true
want "jobs" "$(said job | cut -d' ' -f1 | sort -u)" outer
want "commands" "$(said command | sort -u)" "mpiexec.mpich -n 2 $BIN/proxy_run true"
