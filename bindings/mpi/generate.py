#!/usr/bin/env python3
"""Generate the MPI exporter's wrappers from the prototypes of a preprocessed mpi.h.

    generate.py backend mpi.i wrappers.inc     one wrapper per function of this mpi.h
    generate.py frontend NAMES... stubs.S      one entry per name of any back-end
    generate.py names mpi.i names.txt          the names that a back-end wraps

A wrapper is written for each prototype that is found, in MPI_ and in PMPI_ form: what a
function moves is looked up in semantics.py, and one that is not there counts hits and time.
So a newer mpi.h needs no change here; a prototype that the pattern misses is not wrapped,
and the front-end passes it through. Fewer than 300 found means that the pattern is wrong.

Each wrapper passes a nested call on at once, takes the time as semantics.timing() says, calls
the next function of its name by a pointer that the front-end has set, and after success
evaluates the expressions of semantics.py over its own parameters. Those that complete or
start requests are one line, for completion.h has them written by hand. The order of the
functions is that of their names' bytes: backend.c searches them by halves.

Names and wrappers are told as text, starts and distances, not as tables of pointers: nothing
is to be relocated when a back-end is loaded (see backend.c).
"""
import re
import sys

import semantics

PROTOTYPE = re.compile(
    r"(?P<type>(?:\b(?:extern|const|unsigned|int|double|long|MPI_[A-Z][A-Za-z0-9_]*)\b[\s]*\**\s*)+?)"
    r"\bMPI_(?P<name>[A-Z][A-Za-z0-9_]*)\s*\((?P<params>[^;{}]*?)\)\s*(?:__attribute__[^;]*)?;",
    re.S)
# Symbols that are callbacks to be named by programs, not functions that they call.
CALLBACKS = re.compile(r"(_DUP_FN|_NULL_COPY_FN|_NULL_DELETE_FN|_FN$|_NULL_FN$|CONVERSION_FN)")


class Function:
    def __init__(self, ret, name, params):
        self.ret, self.name = ret, name
        self.params = []      # (declaration, name)
        self.variadic = False
        for i, text in enumerate(split_parameters(params)):
            text = " ".join(text.split())
            if text in ("void", ""):
                continue
            if text == "...":
                self.variadic = True
                continue
            self.params.append(parameter(text, i))
        base = name[:-2] if name.endswith("_c") else name
        self.out, self.into, self.how = semantics.moves().get(base, ("0", "0", "now"))
        self.complete = semantics.COMPLETE.get(base)
        self.way = semantics.timing(base)
        self.of_bindings = semantics.may_be_of_bindings(base)
        self.of_file = name.startswith("File_")

    def names(self):
        return [name for _, name in self.params]

    def declaration(self):
        text = ", ".join(d for d, _ in self.params) or "void"
        return text + ", ..." if self.variadic else text


def split_parameters(text):
    depth, part, parts = 0, "", []
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return parts + [part]


def parameter(text, i):
    callback = re.match(r"(.*\(\s*\*\s*)(\w+)?(\s*\).*)$", text)
    if callback:
        name = callback.group(2) or f"a{i}"
        return callback.group(1) + name + callback.group(3), name
    array = re.match(r"(.*?)\b(\w+)\s*((?:\[[^]]*\])+)$", text)
    if array:
        return text, array.group(2)
    plain = re.match(r"(.*[\s*])(\w+)$", text)
    if plain and not plain.group(2).startswith("MPI_") and plain.group(2) not in ("int", "char"):
        return text, plain.group(2)
    return f"{text} a{i}", f"a{i}"


def functions(path):
    text = open(path, encoding="utf-8", errors="replace").read()
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    text = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", "", text)
    found = {}
    for m in PROTOTYPE.finditer(text):
        name = m.group("name")
        if CALLBACKS.search(name) or name in found or "QMPI" in m.group("params"):
            continue
        ret = " ".join(m.group("type").replace("extern", "").split())
        found[name] = Function(ret, name, m.group("params"))
    if len(found) < 300:
        sys.exit(f"generate.py: {path}: only {len(found)} prototypes found, expected over 300")
    return [found[name] for name in sorted(found)]


def emit_status(f):
    """A status of our own where the caller ignores it: it tells what was received."""
    return ["    MPI_Status own;", "    if (status == MPI_STATUS_IGNORE)", "        status = &own;"]


def body(f, entry):
    """The wrapper of one entry, MPI_ or PMPI_."""
    args = ", ".join(f.names())
    next_fn = f"NEXT({entry}next_{f.name})"
    lines = [f"TAKEN static {f.ret} {entry}wrap_{f.name}({f.declaration()})", "{"]
    if f.variadic:
        last = f.names()[-1]
        lines += ["    va_list list;", f"    va_start(list, {last});",
                  "    void *more[4] = {va_arg(list, void *), va_arg(list, void *),"
                  " va_arg(list, void *), va_arg(list, void *)};", "    va_end(list);"]
        args += ", more[0], more[1], more[2], more[3]"
    fn = f"FN_{f.name}"
    if f.complete:
        return lines + [f"    return complete_{f.complete}({fn}, {next_fn}, {args});", "}", ""]
    lines += ["    if (nested())", f"        return {next_fn}({args});"]
    if not f.of_bindings or f.variadic:
        return lines + counted(f, fn, next_fn, args)
    # Out of the way, and with the same arguments behind one more: so the wrapper keeps none.
    seldom = f"{entry}seldom_{f.name}"
    caller = "__builtin_return_address(0)"
    more = ", ".join(["void *mpx_caller"] + [d for d, _ in f.params])
    return [f"SELDOM static {f.ret} {seldom}({more})", "{",
            f"    if (mpx_is_bindings_call(fn_name({fn}), mpx_caller))",
            f"        return {next_fn}({args});"] + counted(f, fn, next_fn, args) + lines + [
            f"    if (may_be_bindings({caller}))",
            f"        return {seldom}({', '.join([caller] + f.names())});",
            ] + counted(f, fn, next_fn, args)


def counted(f, fn, next_fn, args):
    """The call, its time and what it moved; to the end of the function."""
    lines = []
    uses_status = "STATUS" in (f.out, f.into)
    if uses_status:
        lines += emit_status(f)
    lines += [f"    uint64_t mpx_begin = enter{f.way}();",
              f"    {f.ret} mpx_result = {next_fn}({args});"]
    ok = "mpx_result == MPI_SUCCESS" if f.ret == "int" else "1"
    told = "transferred(status)" if f.of_file else "received(status)"
    out = told if f.out == "STATUS" else f.out
    into = {"STATUS": told, "TRACK": "0"}.get(f.into, f.into)
    remember = "remember_file" if f.of_file else "remember"
    if f.way == "_local":
        lines += [f"    leave_local({fn}, mpx_begin);"]
    elif f.how.startswith("persistent"):
        lines += [f"    leave{f.way}({fn}, mpx_begin, 0, 0);", f"    if ({ok})",
                  f"        remember_persistent({fn}, *request, {out}, {into}, "
                  f"{'1' if f.how == 'persistent-in' else '0'}, {'1' if f.into == 'TRACK' else '0'});"]
    elif out == "0" and into == "0":
        lines += [f"    leave{f.way}({fn}, mpx_begin, 0, 0);"]
        if f.into == "TRACK":
            lines += [f"    if ({ok})", f"        {remember}({fn}, *request);"]
    else:
        lines += ["    uint64_t mpx_out = 0, mpx_in = 0;", f"    if ({ok}) {{"]
        lines += [f"        mpx_out = (uint64_t)({out});"] if out != "0" else []
        lines += [f"        mpx_in = (uint64_t)({into});"] if into != "0" else []
        lines += [f"        {remember}({fn}, *request);"] if f.into == "TRACK" else []
        lines += ["    }", f"    leave{f.way}({fn}, mpx_begin, mpx_out, mpx_in);"]
    return lines + ["    return mpx_result;", "}", ""]


def text_of(names):
    """The lines of a string of all names and of a table of where each starts."""
    starts, at = [], 0
    for name in names:
        starts.append(at)
        at += len(name) + 1
    return [f'    "{name}\\0"' for name in names], [f"    {start}," for start in starts]


def backend(source, target):
    """One symbol of the front-end is `FN * 2`, or `FN * 2 + 1` for PMPI_."""
    every = functions(source)
    text, starts = text_of([f.name for f in every])
    out = ["// Generated by bindings/mpi/generate.py from mpi.h. Do not edit.", "",
           "#ifdef WRAPPER_NAMES", "enum fn {"]
    out += [f"    FN_{f.name}," for f in every] + ["    FN_COUNT", "};", "",
            "// In the order of the bytes; no pointers, for each would be relocated at the start.",
            "static const char fn_text[] ="] + text + ["    ;",
            "static const uint32_t fn_starts[FN_COUNT] = {"]
    out += starts + ["};", "#endif", "", "#ifdef WRAPPER_BODIES",
            "// Set by the front-end before it lets a call in, by several threads at worst.",
            "#define NEXT(pointer) __atomic_load_n(&pointer, __ATOMIC_RELAXED)",
            "// Named by the table below only, which the compiler does not read.",
            "#define TAKEN __attribute__((used))",
            "#define SELDOM __attribute__((cold, noinline))"]
    for f in every:
        for entry in ("", "p"):
            out.append(f"TAKEN static {f.ret} (*{entry}next_{f.name})({f.declaration()});")
    out.append("")
    for f in every:
        for entry in ("", "p"):
            out += body(f, entry)
    out += ["// Distances from the table's begin, known when this is linked.",
            "__asm__(\".pushsection .rodata\\n\"",
            '        ".balign 4\\n"', '        "mpx_entries:\\n"']
    for f in every:
        for entry in ("", "p"):
            out.append(f'        ".long {entry}wrap_{f.name} - mpx_entries,'
                       f' {entry}next_{f.name} - mpx_entries\\n"')
    out += ['        ".popsection\\n");', "#endif", ""]
    open(target, "w", encoding="utf-8").write("\n".join(out))


def frontend(sources, target):
    names = sorted({line.strip() for s in sources for line in open(s, encoding="utf-8")})
    every = [p + n for n in names for p in ("MPI_", "PMPI_")]
    out = ["// Generated by bindings/mpi/generate.py. Do not edit.",
           '#include "trampoline.S"', "", "    .text", "    MPX_LAZY"]
    out += [f"    MPX_ENTRY {name}, {i}" for i, name in enumerate(every)]
    out += ["", "    .bss", "    .balign 8", "    .globl mpx_mpi_slots", "    .hidden mpx_mpi_slots",
            "mpx_mpi_slots:", f"    .zero {8 * len(every)}",
            "", "    .section .rodata", "    .globl mpx_mpi_names", "    .hidden mpx_mpi_names",
            "mpx_mpi_names:"]
    out += [f'    .asciz "{name}"' for name in every]
    out += ["    .balign 4", "    .globl mpx_mpi_name_starts", "    .hidden mpx_mpi_name_starts",
            "mpx_mpi_name_starts:"]
    at = 0
    for name in every:
        out.append(f"    .long {at}")
        at += len(name) + 1
    out += ["", '    .section .note.GNU-stack,"",@progbits', ""]
    open(target, "w", encoding="utf-8").write("\n".join(out))


def names(source, target):
    open(target, "w", encoding="utf-8").write("\n".join(f.name for f in functions(source)) + "\n")


def main():
    if len(sys.argv) >= 4 and sys.argv[1] == "backend":
        backend(sys.argv[2], sys.argv[3])
    elif len(sys.argv) >= 4 and sys.argv[1] == "names":
        names(sys.argv[2], sys.argv[3])
    elif len(sys.argv) >= 4 and sys.argv[1] == "frontend":
        frontend(sys.argv[2:-1], sys.argv[-1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
