#include "remote/url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <mproxy/remote.h>

#include "base/err.h"

enum { PORT_MAX = 65535 };

struct server {
    const char *scheme; // "http" or "https"
    const char *host;   // with its brackets
    size_t host_length;
    unsigned port; // 0: none given
    const char *rest;
};

static bool is_host_character(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_';
}

static size_t host_length(const char *at)
{
    size_t length = 0;
    if (*at == '[') {
        length = strspn(at + 1, "0123456789abcdefABCDEF:.");
        return length && at[length + 1] == ']' ? length + 2 : 0;
    }
    while (is_host_character(at[length]))
        length++;
    return length;
}

// What is wrong with an address; NULL: nothing, and *out says what it names.
static const char *take_apart(const char *text, struct server *out)
{
    *out = (struct server){.scheme = "http"};
    if (strncasecmp(text, "https://", 8) == 0)
        out->scheme = "https";
    const char *at = text + strcspn(text, ":/?");
    if (strncmp(at, "://", 3) != 0)
        at = NULL;
    if (at && strncasecmp(text, "http://", 7) != 0 && strcmp(out->scheme, "https") != 0)
        return "http:// or https:// was expected";
    out->host = at ? at + 3 : text;
    out->host_length = host_length(out->host);
    if (out->host_length == 0 || out->host_length > 255)
        return "HOST:PORT or a URL was expected";
    at = out->host + out->host_length;
    if (*at == ':') {
        char *end;
        unsigned long port =
            isdigit((unsigned char)at[1]) ? strtoul(at + 1, &end, 10) : 0;
        if (port < 1 || port > PORT_MAX)
            return "a port from 1 to 65535 was expected behind ':'";
        out->port = (unsigned)port;
        at = end;
    }
    if (*at != '\0' && *at != '/' && *at != '?')
        return "nothing or a path was expected behind the port";
    out->rest = at;
    for (; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == '#')
            return "a path without blanks and '#' was expected";
    return NULL;
}

mproxy_status mproxy_remote_url(const char *address, unsigned default_port,
                                const char *path, char out[MPROXY_REMOTE_URL_MAX],
                                mproxy_error *err)
{
    MPX_REQUIRE(address && path && out, err);
    struct server s;
    const char *wrong = take_apart(address, &s);
    if (wrong)
        return mpx_fail(err, MPROXY_E_INVALID, "address '%.200s': %s", address, wrong);
    size_t rest = strlen(s.rest);
    if (*path == '/' && rest > 0 && s.rest[rest - 1] == '/')
        rest--;
    char url[MPROXY_REMOTE_URL_MAX];
    int length =
        snprintf(url, sizeof url, "%s://%.*s:%u%.*s%s", s.scheme, (int)s.host_length,
                 s.host, s.port ? s.port : default_port, (int)rest, s.rest, path);
    if (length >= MPROXY_REMOTE_URL_MAX)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "address '%.200s': a URL of less than %d bytes was expected",
                        address, MPROXY_REMOTE_URL_MAX);
    memcpy(out, url, (size_t)length + 1);
    return MPROXY_OK;
}

static unsigned port_of(const struct server *s)
{
    return s->port ? s->port : strcmp(s->scheme, "https") == 0 ? 443 : 80;
}

bool mpx_url_same_server(const char *a, const char *b)
{
    struct server x, y;
    return !take_apart(a, &x) && !take_apart(b, &y) && strcmp(x.scheme, y.scheme) == 0 &&
           x.host_length == y.host_length &&
           strncasecmp(x.host, y.host, x.host_length) == 0 && port_of(&x) == port_of(&y);
}
