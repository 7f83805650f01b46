// A program that counts in `x`, or sets it as a gauge: typed counter|gauge VALUE. It lives until
// its standard input ends.
#include <mproxy/client.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char byte;
    if (argc < 3)
        return 2;
    double value = atof(argv[2]);
    if (strcmp(argv[1], "gauge") == 0)
        mproxy_gauge_set(mproxy_gauge_get("x", "a test's", NULL), value);
    else
        mproxy_counter_add(mproxy_counter_get("x", "a test's", NULL), (uint64_t)value);
    mproxy_counter_add(mproxy_counter_get("typed_total", "a test's", NULL), 1);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return 0;
}
