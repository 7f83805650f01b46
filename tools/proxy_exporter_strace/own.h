// Calls that are made because we count, and so are not the program's.
//
// Two kinds are left out. The client library marks what it asks the kernel for on its own
// account (MPROXY_OWN_BEGIN). And the loader maps the libraries that we preload: from an
// exec to the first mark, calls on files of ours, and on where these are mapped, are ours.
#ifndef PROXY_EXPORTER_STRACE_OWN_H
#define PROXY_EXPORTER_STRACE_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "calls.h"
#include "tracees.h"

// What the filter says of a mark, instead of a call's number.
enum { OWN_BEGIN = CALLS_MAX, OWN_END = CALLS_MAX + 1 };

// The value of LD_PRELOAD that programs are given; stays valid. Libraries of ours are known
// by their names in it.
void own_set_preloads(const char *list);

// An exec has brought a new image.
void own_exec(struct tracee *t);
// The tracee is forgotten.
void own_forget(struct tracee *t);

// A call begins, or a mark: whether it is ours. With t->wants_result set, own_result() is to
// be told at its end.
bool own_takes(struct tracee *t, uint64_t number);
void own_result(struct tracee *t, int64_t result);

// The first argument of a close(): a mark's number, or SYS_close.
uint64_t own_close(uint64_t argument);

#endif
