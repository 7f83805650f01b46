// Log lines on stderr, and the rule that the line with the URL comes first.
#ifndef PROXY_V2_LOG_H
#define PROXY_V2_LOG_H

#include <mproxy/daemon.h>

void log_set_level(mproxy_log_level level);
// Has the form that the daemon takes; any thread. Until log_announce() lines are kept.
void log_line(void *arg, mproxy_log_level level, const char *line);
// The first line, then those kept. NULL: there is no URL, just let them out.
void log_announce(const char *url);

#endif
