// A program one of whose values is refused: refused KIND. Whatever it is, `good_total` is 1.
#include <mproxy/client.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

// Goes on when its standard input says so: what was raised before has been read.
static void pass_2_to_the_64(mproxy_counter *counter)
{
    char byte;
    for (int i = 0; i < 3; i++) {
        mproxy_counter_add(counter, INT64_MAX);
        if (i == 1 && read(STDIN_FILENO, &byte, 1) < 0)
            return;
    }
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    mproxy_counter_add(mproxy_counter_get("good_total", NULL, NULL), 1);
    mproxy_fcounter *seconds = mproxy_fcounter_get("refused_seconds_total", NULL, NULL);
    mproxy_gauge *level = mproxy_gauge_get("refused_level", NULL, NULL);
    if (strcmp(kind, "nothing") == 0)
        mproxy_fcounter_add(seconds, 1);
    else if (strcmp(kind, "below-zero") == 0)
        mproxy_fcounter_add(seconds, -1);
    else if (strcmp(kind, "not-finite") == 0)
        mproxy_fcounter_add(seconds, NAN);
    else if (strcmp(kind, "overflow") == 0)
        for (int i = 0; i < 2; i++)
            mproxy_fcounter_add(seconds, DBL_MAX);
    else if (strcmp(kind, "wrap") == 0)
        pass_2_to_the_64(mproxy_counter_get("refused_total", NULL, NULL));
    else if (strcmp(kind, "gauge") == 0)
        mproxy_gauge_set(level, INFINITY);
    else if (strcmp(kind, "histogram") == 0)
        mproxy_histogram_observe(
            mproxy_histogram_get("refused_size", NULL, NULL, 0, NULL), NAN);
    else if (strcmp(kind, "bounds") == 0)
        mproxy_histogram_get("refused_size", NULL, (const double[]){2, 1}, 2, NULL);
    else if (strcmp(kind, "nameless") == 0)
        mproxy_counter_get(NULL, NULL, NULL);
    else
        return 2;
    return 0;
}
