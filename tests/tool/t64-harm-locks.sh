#!/bin/sh
# Who counts for the first time while another library forks, holds its locks, or is ended or
# jumped away from: nobody waits for ever, and what was counted is exact.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/harm/lib.sh"
need compiler python3 curl
"${CC:-cc}" -O2 -g -D_GNU_SOURCE -I"$SUPPORT/../../include" -DHANDLERS -shared -fPIC \
    -o "$TMP/libhandlers.so" "$SUPPORT/harm/locks.c" -pthread
compile "$TMP/locks" "$SUPPORT/harm/locks.c" -L"$TMP" -Wl,-rpath,"$TMP" -lhandlers
start_proxy --linger 100
wait_for "the first round" get /-/ready

for mode in ${MODES:-mutex join jump births vfork}; do
    status=0
    timeout 120 "$BIN/proxy_run" -u "$SOCKET" -j "$mode" -e process,posix -- \
        "$TMP/locks" "$mode" >"$TMP/expected" 2>"$TMP/err" || status=$?
    want "$mode: status ($(cat "$TMP/err"))" $status 0
    told "$mode" $(tr ' ' = <"$TMP/expected") partial=no
    echo "$mode: $(tr '\n' ' ' <"$TMP/expected")"
done
stop_proxy
want "exit status" "$STATUS" 0

# NumPy with an OpenBLAS that has threads of its own, stops them for a fork, and starts them
# again in parent and child.
blas=/usr/lib/x86_64-linux-gnu/openblas-pthread
PYTHON=/usr/bin/python3
$PYTHON -c "import numpy" 2>/dev/null || skip numpy "it cannot be imported"
[ -e $blas/libblas.so.3 ] || skip openblas "$blas is not there"
cat >"$TMP/blas.py" <<'PY'
import os
import numpy

a = numpy.ones((300, 300))
for i in range(20):
    assert (a @ a)[0, 0] == 300
    pid = os.fork()
    if pid == 0:
        assert (a @ a)[0, 0] == 300
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
PY
for where in loaded preloaded; do
    SOCKET=$TMP/$where.socket
    status=0
    OPENBLAS_NUM_THREADS=4 LD_LIBRARY_PATH=$blas \
        LD_PRELOAD=$([ $where = loaded ] || echo $blas/libblas.so.3) timeout -s KILL 100 \
        "$BIN/proxy_run" -u "$SOCKET" -j numpy -e process,posix -- \
        $PYTHON "$TMP/blas.py" || status=$?
    want "NumPy, OpenBLAS $where" $status 0
    want "starts" "$(said has_started)" 21
    want "ends" "$(said has_finished)" 21
done
