// Finding the route of a path, and counting what each answered.

#include <stdio.h>
#include <string.h>

#include "http/route.h"

static const int codes[MPX_HTTP_CODES] = {200, 202, 304, 400, 401, 403, 404, 405,
                                          409, 413, 414, 415, 431, 500, 503, 0};

size_t mpx_route_prefix(const struct mpx_route *route)
{
    size_t length = strlen(route->path);
    bool is_prefix = length > 2 && strcmp(route->path + length - 2, "/*") == 0;
    return is_prefix ? length - 1 : 0;
}

// How many bytes of a path a route names; 0: it is not for this path. The whole path is
// more than any part of it.
static size_t fits(const struct mpx_route *route, const char *path, size_t length)
{
    size_t prefix = mpx_route_prefix(route);
    if (prefix)
        return length > prefix && memcmp(route->path, path, prefix) == 0 ? prefix : 0;
    return strlen(route->path) == length && memcmp(route->path, path, length) == 0
               ? length
               : 0;
}

const struct mpx_route *mpx_route_find(const struct mpx_route_table *table,
                                       const char *path, unsigned method, unsigned *allow)
{
    size_t length = strlen(path), best = 0;
    if (length > 1 && path[length - 1] == '/')
        length--;
    const struct mpx_route *found = NULL;
    *allow = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct mpx_route *route = &table->routes[i];
        size_t named = fits(route, path, length);
        if (named == 0 || named < best)
            continue;
        if (named > best) { // what fits worse does not count any more
            best = named;
            *allow = 0;
            found = NULL;
        }
        *allow |= route->methods;
        if (!found || !(found->methods & method))
            found = route;
    }
    if (found && (found->methods & method))
        *allow = 0;
    return found;
}

void mpx_route_allow_text(unsigned methods, char out[48])
{
    static const struct {
        unsigned bit;
        const char *text;
    } words[] = {{MPX_GET, "GET, HEAD"},
                 {MPX_POST, "POST"},
                 {MPX_PUT, "PUT"},
                 {MPX_DELETE, "DELETE"}};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(methods & words[i].bit))
            continue;
        size_t used = strlen(out);
        snprintf(out + used, 48 - used, "%s%s", used ? ", " : "", words[i].text);
    }
}

// Several lines of the table may share a path: all count in the first.
static size_t first_of_path(const struct mpx_route_table *table,
                            const struct mpx_route *route)
{
    size_t row = 0;
    while (strcmp(table->routes[row].path, route->path) != 0)
        row++;
    return row;
}

void mpx_route_count(struct mpx_route_table *table, const struct mpx_route *route,
                     int code)
{
    size_t row = route ? first_of_path(table, route) : table->count;
    size_t column = 0;
    while (column < MPX_HTTP_CODES - 1 && codes[column] != code)
        column++;
    atomic_fetch_add_explicit(&table->counts[row][column], 1, memory_order_relaxed);
}

void mpx_route_each(const struct mpx_route_table *table,
                    void (*visit)(void *arg, const char *route, int code, uint64_t count),
                    void *arg)
{
    for (size_t row = 0; row <= table->count; row++) {
        const char *path = row < table->count ? table->routes[row].path : "other";
        for (size_t column = 0; column < MPX_HTTP_CODES; column++) {
            uint64_t count =
                atomic_load_explicit(&table->counts[row][column], memory_order_relaxed);
            if (count > 0)
                visit(arg, path, codes[column], count);
        }
    }
}
