// The older client library as programs are linked to it: it connects in its constructor and
// sends increments as JSON. Built as libproxyclient.so by t14-legacy-client.sh.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fd = -1;

static void send_text(const char *text)
{
    size_t length = strlen(text) + 1; // a message ends with a NUL
    if (fd >= 0 && write(fd, text, length) != (ssize_t)length)
        exit(9);
}

static void raise_by_one(const char *name)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"Desc\":{\"name\":\"%s\",\"doc\":\"\",\"ctype\":{\"Counter\":{\"ts\":0,"
             "\"value\":0.0}}}}",
             name);
    send_text(text);
    snprintf(
        text, sizeof text,
        "{\"Value\":{\"name\":\"%s\",\"value\":{\"Counter\":{\"ts\":1,\"value\":1.0}}}}",
        name);
    send_text(text);
}

__attribute__((constructor)) static void start(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char job[300];
    snprintf(to.sun_path, sizeof to.sun_path, "%s", getenv("PROXY_PATH"));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        exit(8);
    snprintf(
        job, sizeof job,
        "{\"JobDesc\":{\"jobid\":\"%s\",\"command\":\"./a\",\"size\":1,\"nodelist\":\"\","
        "\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"/\",\"start_time\":0,"
        "\"end_time\":0}}",
        getenv("PROXY_JOB_ID"));
    send_text(job);
}

void *metric_proxy_init(void);
int metric_proxy_release(void *client);

void *metric_proxy_init(void)
{
    raise_by_one("has_started");
    return &fd;
}

int metric_proxy_release(void *client)
{
    (void)client;
    raise_by_one("older_total");
    raise_by_one("has_finished");
    return 0;
}
