// Asks for MPI before there is one, then runs a plugin that brings it: HOST PLUGIN global|local
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

extern int MPI_Initialized(int *flag) __attribute__((weak));

int main(int argc, char **argv)
{
    int flag = 7;
    int (*found)(int *) = (int (*)(int *))dlsym(RTLD_DEFAULT, "MPI_Initialized");
    if (argc < 3)
        return 2;
    for (int i = 0; i < 3; i++) {
        if (found && (found(&flag) != 0 || flag != 0))
            return 3;
        if (MPI_Initialized && (MPI_Initialized(&flag) != 0 || flag != 0))
            return 4;
    }
    void *plugin = dlopen(
        argv[1], RTLD_NOW | (strcmp(argv[2], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL));
    if (!plugin)
        return fprintf(stderr, "%s\n", dlerror()), 5;
    int (*run)(void) = (int (*)(void))dlsym(plugin, "run");
    int status = run();
    dlclose(plugin);
    return status;
}
