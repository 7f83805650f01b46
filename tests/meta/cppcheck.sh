#!/bin/sh
# What cppcheck finds in the product's sources, each file on its own.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
# Programs for the kernel are in a C that only clang compiles.
# It takes the address of a status that the called function fills for a read of it.
cppcheck --quiet --std=c11 --language=c --error-exitcode=1 --inline-suppr \
    --enable=warning,performance,portability --suppress=missingIncludeSystem \
    --suppress=uninitvar:bindings/mpi/completion.h \
    -j "$(nproc)" -D_GNU_SOURCE -D__linux__ -D__x86_64__ -D__GNUC__=12 -DMPROXY_TEST_HOOKS \
    -I include -I libmproxy $(sources | grep -E '^(libmproxy|tools|bindings)/.*\.c$' |
    grep -v '\.bpf\.c$') 2>&1 ||
    complain "cppcheck has remarks; a false one is silenced where it stands, with its reason"
verdict
