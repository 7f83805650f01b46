#!/bin/sh
# The older client API: its example under proxy_run, without a proxy, and the calls of
# instrumented functions.
. "$(dirname "$0")/../support/lib.sh"
need compiler
source=$SUPPORT/../..

legacy() {
    out=$1 file=$2
    shift 2
    "${CC:-cc}" -O1 -g -Wall -Werror -I"$source/bindings/legacy" -o "$out" "$file" "$@" \
        -L"$LIB" -Wl,-rpath,"$LIB" -lproxyclient
}

legacy "$TMP/example" "$source/docs/examples/legacy_client.c"
"$BIN/proxy_run" -u "$SOCKET" -j j -- "$TMP/example"
want "counter" "$(said legacy_calls)" 1000
want "gauge" "$(said legacy_level)" 1000
want "starts" "$(said has_started)" 1

# Without proxy_run and without a directory to count into: it runs, and says so.
PROXY_PATH=$TMP/none.socket "$TMP/example" 2>"$TMP/err"
grep -q 'no proxy' "$TMP/err" || fail "the example does not see that there is no proxy"

cat >"$TMP/rules.c" <<'TXT'
#include <math.h>
#include <stdio.h>
#include <metric_proxy_client.h>

#define IS(wanted, call) \
    do { \
        if ((call) != (wanted)) \
            return fprintf(stderr, "%s is not %s\n", #call, #wanted), 1; \
    } while (0)

int main(void)
{
    struct MetricProxyClient *c = metric_proxy_init();
    IS(c, metric_proxy_init());
    struct MetricProxyValue *v = metric_proxy_counter_new(c, "v", "doc");
    struct MetricProxyValue *g = metric_proxy_gauge_new(c, "g", NULL);
    IS(v, metric_proxy_counter_new(c, "v", "other"));
    IS(NULL, metric_proxy_counter_new(c, "g", NULL));
    IS(NULL, metric_proxy_gauge_new(c, "v", NULL));
    IS(NULL, metric_proxy_counter_new(NULL, "n", NULL));
    IS(NULL, metric_proxy_counter_new(c, NULL, NULL));
    IS(NULL, metric_proxy_counter_new(c, "not a name", NULL));
    IS(0, metric_proxy_counter_inc(v, 1.5));
    IS(0, metric_proxy_counter_inc(v, 0));
    IS(1, metric_proxy_counter_inc(v, -1));
    IS(1, metric_proxy_counter_inc(v, NAN));
    IS(1, metric_proxy_counter_inc(v, INFINITY));
    IS(1, metric_proxy_counter_inc(NULL, 1));
    IS(1, metric_proxy_counter_inc(g, 1));
    IS(0, metric_proxy_gauge_set(g, -3));
    IS(1, metric_proxy_gauge_set(g, NAN));
    IS(1, metric_proxy_gauge_set(v, 1));
    IS(1, metric_proxy_gauge_set(NULL, 1));
    IS(1, metric_proxy_release(NULL));
    IS(0, metric_proxy_release(c));
    return 0;
}
TXT
legacy "$TMP/rules" "$TMP/rules.c"
SOCKET=$TMP/rules.socket
"$BIN/proxy_run" -u "$SOCKET" -j j -- "$TMP/rules"
want "v" "$(said v)" 1.5
want "g" "$(said g)" -3

# The header is C++ too.
printf '#include <metric_proxy_client.h>\nint main() { return !metric_proxy_init(); }\n' \
    >"$TMP/plus.cc"
if command -v "${CXX:-c++}" >/dev/null; then
    "${CXX:-c++}" -Wall -Werror -I"$source/bindings/legacy" -o "$TMP/plus" \
        "$TMP/plus.cc" -L"$LIB" -Wl,-rpath,"$LIB" -lproxyclient
    PROXY_PATH=$TMP/nobody "$TMP/plus"
fi

# Functions: exported, file-local, recursive, and a malloc of the program's that is
# instrumented itself.
cat >"$TMP/functions.c" <<'TXT'
#include <pthread.h>
#include <stdlib.h>

__attribute__((noinline)) int leaf(int n)
{
    __asm__ volatile("");
    return n + 1;
}

__attribute__((noinline)) int recurse(int n)
{
    __asm__ volatile("");
    return n == 0 ? 0 : 1 + recurse(n - 1);
}

static __attribute__((noinline)) int hidden(int n)
{
    __asm__ volatile("");
    return n;
}

static char arena[1 << 20];
static size_t used;

void *malloc(size_t size)
{
    return arena + __atomic_fetch_add(&used, (size + 31) & ~31ul, __ATOMIC_RELAXED);
}

void free(void *p)
{
    (void)p;
}

static void *work(void *p)
{
    for (int i = 0; i < 10000; i++)
        leaf(i);
    return p;
}

int main(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    recurse(9);
    hidden(1);
    return 0;
}
TXT
"${CC:-cc}" -O1 -g -finstrument-functions -rdynamic -o "$TMP/functions" \
    "$TMP/functions.c" -pthread
SOCKET=$TMP/functions.socket
mkdir -m 700 "$(rendezvous "$SOCKET")"
PROXY_PATH=$SOCKET PROXY_JOB_ID=j LD_PRELOAD=$LIB/libproxyclient.so "$TMP/functions"
want "calls of leaf" "$(said func__leaf_functions)" 40000
want "calls of recurse" "$(said func__recurse_functions)" 10
want "calls of main" "$(said func__main_functions)" 1
want "calls of hidden" "$(said func__hidden_functions)" 1
want "starts" "$(said has_started)" 1
want "ends" "$(said has_finished)" 1

# A program linked to the older library itself, which tells its start and its end to the
# socket: under proxy_run they count once, and without it as ever.
need python3 curl
SOCKET=$TMP/proxy.socket
start_proxy --linger 100
wait_for "the first round" get /-/ready
mkdir -p "$TMP/older"
"${CC:-cc}" -shared -fPIC -o "$TMP/older/libproxyclient.so" "$SUPPORT/legacy/older.c"
printf 'void *metric_proxy_init(void);\nint metric_proxy_release(void *client);
int main(void) { return metric_proxy_release(metric_proxy_init()); }\n' >"$TMP/linked.c"
"${CC:-cc}" -o "$TMP/linked" "$TMP/linked.c" -L"$TMP/older" -Wl,-rpath,"$TMP/older" -lproxyclient
told() {
    URL=$URL SOCKET=$SOCKET LOG=$LOG python3 "$SUPPORT/harm/told.py" "$@" || exit 1
}
"$BIN/proxy_run" -u "$SOCKET" -j under -- "$TMP/linked"
told under has_started=1 has_finished=1 older_total=1 partial=no
PROXY_PATH=$SOCKET PROXY_JOB_ID=alone "$TMP/linked"
told alone has_started=1 has_finished=1 older_total=1 partial=no

# The proxy has work when the program runs, and hears of it and of its end together.
python3 "$SUPPORT/hold_thread.py" "$PROXY_PID" "$TMP/held" 2>"$TMP/err" &
holder=$!
kill_later $holder
wait_for "a thread that is held" sh -c "test -e '$TMP/held' || ! kill -0 $holder"
[ -e "$TMP/held" ] || skip ptrace "$(cat "$TMP/err")"
wait_past $(($(now_ms) + 500)) # the next round is due
"$BIN/proxy_run" -u "$SOCKET" -j late -- "$TMP/linked"
rm "$TMP/held"
wait $holder
told late has_started=1 has_finished=1 older_total=1 partial=no
