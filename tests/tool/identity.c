// identity COMMAND...: counts under names that come as words.
//   count NAME N | gauge NAME N | observe NAME VALUE BOUND... ; (a word `;` ends the bounds)
#include <mproxy/client.h>

#include <stdlib.h>
#include <string.h>

static char **observe(char **at)
{
    double bounds[16], value = strtod(at[1], NULL);
    size_t count = 0;
    const char *name = at[0];
    for (at += 2; *at && strcmp(*at, ";") != 0; at++)
        bounds[count++] = strtod(*at, NULL);
    mproxy_histogram_observe(mproxy_histogram_get(name, NULL, bounds, count, NULL),
                             value);
    return *at ? at + 1 : at;
}

int main(int argc, char **argv)
{
    char **at = argv + 1;
    (void)argc;
    while (at[0]) {
        if (strcmp(at[0], "observe") == 0) {
            at = observe(at + 1);
            continue;
        }
        if (strcmp(at[0], "gauge") == 0)
            mproxy_gauge_set(mproxy_gauge_get(at[1], NULL, NULL), strtod(at[2], NULL));
        else
            mproxy_counter_add(mproxy_counter_get(at[1], NULL, NULL),
                               strtoull(at[2], NULL, 10));
        at += 3;
    }
    return 0;
}
