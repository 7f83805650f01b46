// Which calls are timed.
//
// To time a call the tracee must stop a second time, which doubles what counting costs. So
// calls that are about as short as a stop are timed now and then, and one that was timed
// stands for those of its kind before it that were not; those that take longer are timed
// always, and so are those whose result is a number of bytes.
#ifndef PROXY_EXPORTER_STRACE_SAMPLE_H
#define PROXY_EXPORTER_STRACE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

// Whether to time this call, which now begins.
bool sample_wants(int number);
// How long a call took that was timed; how many calls it stands for, itself included.
uint64_t sample_took(int number, uint64_t ns);

#endif
