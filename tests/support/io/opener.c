// opener WAY LIBRARY: opens a plugin as WAY says (local, deepbind or namespace) and calls its
// plugin_work(7); ends with 0 when that returns 7.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static void *open_as(const char *way, const char *path)
{
    int flags = RTLD_NOW | RTLD_LOCAL;
    if (strcmp(way, "namespace") == 0)
        return dlmopen(LM_ID_NEWLM, path, flags);
    return dlopen(path, strcmp(way, "deepbind") == 0 ? flags | RTLD_DEEPBIND : flags);
}

int main(int argc, char **argv)
{
    void *plugin = argc > 2 ? open_as(argv[1], argv[2]) : NULL;
    int (*work)(int) = plugin ? (int (*)(int))dlsym(plugin, "plugin_work") : NULL;
    if (!work) {
        puts(argc > 2 ? dlerror() : "usage: opener WAY LIBRARY");
        return 2;
    }
    return work(7) != 7;
}
