#!/bin/sh
# The proxy is killed while programs count, and started again: the sums are exact. So they
# are when it is started after the programs, and when the programs are killed.
. "$(dirname "$0")/../support/lib.sh"
need compiler curl
cat >"$TMP/count.c" <<'TXT'
#include <mproxy/client.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 8, EACH = 125000 };

static void *count(void *arg)
{
    mproxy_counter *counter = arg;
    for (int i = 0; i < EACH; i++) {
        mproxy_counter_add(counter, 1);
        if (i % 1000 == 0)
            usleep(5000); // so that it lives through the kills
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    mproxy_counter *counter = mproxy_counter_get("work_total", "Work", NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count, counter);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    raise(SIGKILL);
}
TXT
compile "$TMP/count" "$TMP/count.c"

profile_says() {
    get "/profiles/get?jobid=$1" | grep -o '"name":"work_total"[^}]*}}' | head -n 1 |
        sed -n 's/.*"value":\([0-9]*\).*/\1/p'
}

# Before any proxy.
"$BIN/proxy_run" -u "$SOCKET" -j before -- "$TMP/count" &
BEFORE=$!
start_proxy --linger 300
wait_for "the job of before" get '/job?job=before'

# In the middle, several times.
"$BIN/proxy_run" -u "$SOCKET" -j middle -- "$TMP/count" &
MIDDLE=$!
wait_for "its counter" value work_total middle
for round in 1 2 3; do
    stop_proxy KILL
    start_proxy --linger 300
    wait_for "the first round" get /-/ready
    shown=$(value work_total middle || echo 0)
    [ "$shown" -le 1000000 ] || fail "round $round shows $shown"
done
wait $BEFORE $MIDDLE || :
for job in before middle; do
    wait_for "the profile of $job" stored "$job"
    want "the profile of $job" "$(profile_says $job)" 1000000
done
wait_for "the release" sh -c "[ \$(curl -s -o /dev/null -w '%{http_code}' \
    '$URL/job?job=middle') = 404 ]"
want "main" "$(value work_total)" 2000000
stop_proxy KILL
start_proxy
wait_for "the first round" get /-/ready
want "main after a restart" "$(value work_total)" 2000000
want "profiles" "$(get /profiles | grep -o '"jobid"' | wc -l)" 2
