// A plugin that reads as often as it is told, in a function of its own.
#include <fcntl.h>
#include <unistd.h>

__attribute__((noinline)) static int plugin_step(int fd)
{
    char bytes[8];
    return read(fd, bytes, sizeof bytes) == 8;
}

int plugin_work(int times);
int plugin_work(int times)
{
    int fd = open("/dev/zero", O_RDONLY), done = 0;
    for (int i = 0; i < times; i++)
        done += plugin_step(fd);
    close(fd);
    return done;
}
