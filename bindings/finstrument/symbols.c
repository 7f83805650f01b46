// Names of functions, looked up once for each function that is called.
//
// dladdr() knows exported symbols only, and programs export few: so the file that an address
// was loaded from is mapped, its .symtab (else its .dynsym) copied into an array sorted by
// address, and searched by halves. A file is indexed at the first look-up in it, and its
// mapping and array stay, for names point into them: at most 64 objects, in memory that is
// never freed because an instrumented function may look at any time.
//
// Invariants:
// * Code that is looked up may be anything: malloc, a signal handler, the functions that the
//   loader calls. So no malloc, no qsort (it may allocate), no stdio on files, no lock that
//   waits. `indexing` is only tried: who finds it taken makes do with what dladdr() says, so
//   a name may then be an address where a static function's was to be had. That happens once
//   per function at worst, for its counter has its name by then.
// * An object is published by `object_count`, after it is complete; readers take no lock.
// * The file may have been replaced or cut since it was loaded, or be hostile: each offset of
//   it is compared with its size before use, and a string must end inside of its table. (A
//   file that is cut while it is mapped is not guarded against.)
// * The base of an object is what dl_iterate_phdr() says, not dladdr()'s, which for programs
//   at fixed addresses is where the file begins, while their symbols hold whole addresses.
#include "finstrument/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/loader.h"

// One function of an object file, by its address there.
struct function {
    uint64_t begin;
    uint32_t size, name;
};

// An object whose functions have been sorted by address. Made once, never freed.
struct object {
    uintptr_t base;      // where it was loaded
    const char *strings; // of its symbol table
    size_t string_size;
    struct function *functions; // sorted
    size_t count;
};

enum { MAX_OBJECTS = 64 };
static struct object objects[MAX_OBJECTS];
static atomic_size_t object_count;
// Held while an object is indexed. Whoever finds it taken (another thread, or an
// instrumented function called meanwhile) makes do with the dynamic symbols.
static atomic_flag indexing = ATOMIC_FLAG_INIT;

static void sift_down(struct function *f, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && f[child].begin < f[child + 1].begin)
            child++;
        if (f[at].begin >= f[child].begin)
            return;
        struct function swap = f[at];
        f[at] = f[child];
        f[child] = swap;
    }
}

// Heapsort: qsort() may allocate, and malloc may be instrumented.
static void sort_functions(struct function *f, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(f, i, count);
    for (size_t end = count; end-- > 1;) {
        struct function swap = f[0];
        f[0] = f[end];
        f[end] = swap;
        sift_down(f, 0, end);
    }
}

static const void *map_file(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *map = MAP_FAILED;
    off_t end = lseek(fd, 0, SEEK_END); // fstat() is younger than some C libraries
    if (end > (off_t)sizeof(ElfW(Ehdr)))
        map = mmap(NULL, (size_t)end, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    *size = map == MAP_FAILED ? 0 : (size_t)end;
    return map == MAP_FAILED ? NULL : map;
}

static const ElfW(Shdr) * find_section(const char *file, size_t size, uint32_t type)
{
    const ElfW(Ehdr) *eh = (const void *)file;
    if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
        eh->e_shentsize != sizeof(ElfW(Shdr)) || eh->e_shoff > size ||
        (size - eh->e_shoff) / sizeof(ElfW(Shdr)) < eh->e_shnum)
        return NULL;
    const ElfW(Shdr) *sections = (const void *)(file + eh->e_shoff);
    for (int i = 0; i < eh->e_shnum; i++) {
        const ElfW(Shdr) *s = &sections[i];
        if (s->sh_type != type || s->sh_offset > size ||
            s->sh_size > size - s->sh_offset || s->sh_link >= eh->e_shnum)
            continue;
        const ElfW(Shdr) *text = &sections[s->sh_link];
        if (text->sh_offset <= size && text->sh_size <= size - text->sh_offset)
            return s;
    }
    return NULL;
}

static void index_functions(struct object *o, const char *file, const ElfW(Shdr) * table)
{
    const ElfW(Shdr) *text =
        (const ElfW(Shdr) *)(file + ((const ElfW(Ehdr) *)file)->e_shoff) + table->sh_link;
    const ElfW(Sym) *symbols = (const void *)(file + table->sh_offset);
    size_t total = table->sh_size / sizeof *symbols;
    void *room = mmap(NULL, total * sizeof *o->functions + 1, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return;
    o->functions = room;
    for (size_t i = 0; i < total; i++) {
        const ElfW(Sym) *s = &symbols[i];
        if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_shndx != SHN_UNDEF &&
            s->st_name < text->sh_size)
            o->functions[o->count++] =
                (struct function){s->st_value, (uint32_t)s->st_size, s->st_name};
    }
    o->strings = file + text->sh_offset;
    o->string_size = text->sh_size;
    sort_functions(o->functions, o->count);
}

static struct object *find_object(uintptr_t base)
{
    size_t count = atomic_load_explicit(&object_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (objects[i].base == base)
            return &objects[i];
    return NULL;
}

// Also remembers an object without a usable file, with no functions.
static struct object *add_object(uintptr_t base, const char *path)
{
    if (atomic_flag_test_and_set(&indexing))
        return NULL;
    struct object *o = find_object(base);
    size_t count = atomic_load(&object_count);
    if (!o && count < MAX_OBJECTS) {
        o = &objects[count];
        *o = (struct object){.base = base};
        size_t size;
        const char *file = map_file(path, &size); // stays mapped: names are read from it
        const ElfW(Shdr) *table = file ? find_section(file, size, SHT_SYMTAB) : NULL;
        if (file && !table)
            table = find_section(file, size, SHT_DYNSYM);
        if (table)
            index_functions(o, file, table);
        atomic_store_explicit(&object_count, count + 1, memory_order_release);
    }
    atomic_flag_clear(&indexing);
    return o;
}

static const char *find_function(const struct object *o, uint64_t address)
{
    size_t low = 0, high = o->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (o->functions[middle].begin <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const struct function *f = &o->functions[low - 1];
    if (address - f->begin >= (f->size ? f->size : 1))
        return NULL;
    const char *name = o->strings + f->name;
    return memchr(name, 0, o->string_size - f->name) ? name : NULL;
}

static void make_word(char *text)
{
    for (char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
              (*c >= '0' && *c <= '9')))
            *c = '_';
}

// The loaded object that holds an address.
struct place {
    uintptr_t address, base;
    const char *path;
};

static int holds(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct place *p = arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD ||
            p->address - (info->dlpi_addr + ph->p_vaddr) >= ph->p_memsz)
            continue;
        p->base = info->dlpi_addr;
        p->path = info->dlpi_name;
        return 1;
    }
    return 0;
}

void mpx_symbol_name(const void *address, char *out, size_t size)
{
    Dl_info info;
    struct place place = {.address = (uintptr_t)address};
    if (!mpx_dladdr(address, &info) || !dl_iterate_phdr(holds, &place)) {
        snprintf(out, size, "0x%lx_unknown", (unsigned long)address);
        return;
    }
    // Addresses of a position-dependent program are those of its file: its base is 0.
    uintptr_t base = place.base;
    int is_main = !place.path || !place.path[0];
    struct object *o = find_object(base);
    if (!o)
        o = add_object(base, is_main ? "/proc/self/exe" : place.path);
    const char *symbol = o ? find_function(o, (uintptr_t)address - base) : NULL;
    if (!symbol && info.dli_saddr == address)
        symbol = info.dli_sname;
    const char *file = info.dli_fname ? info.dli_fname : "";
    const char *slash = strrchr(file, '/');
    const char *dso = slash ? slash + 1 : file;
    if (symbol)
        snprintf(out, size, "%s_%s", symbol, dso);
    else
        snprintf(out, size, "0x%lx_%s", (unsigned long)((uintptr_t)address - base), dso);
    make_word(out);
}
