// Preloaded: the program has called setlocale(), as one does that talks to people, and its locale
// writes a comma where C has a point.
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void speak_german(void)
{
    char text[16];
    if (!setlocale(LC_ALL, "de_DE.UTF-8"))
        exit(99);
    snprintf(text, sizeof text, "%.1f", 0.5);
    if (strcmp(text, "0,5") != 0)
        exit(98);
}
