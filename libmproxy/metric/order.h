// The order of labels, so that a metric has one spelling.
//
// By name, and `le` behind the others, where a histogram's buckets have it. Names of ours keep
// the order that they are documented with: nobody else may bring one.
#ifndef MPX_METRIC_ORDER_H
#define MPX_METRIC_ORDER_H

#include <stdbool.h>

enum { MPX_NAME_ROOM = 1025 }; // of the longest name that is accepted

// All take a name that mproxy_metric_check_name() has accepted.
bool mpx_name_is_ordered(const char *name);
// Put the labels in order, in place; takes neither memory nor stack.
void mpx_name_order(char *name);
// The one spelling of a name: itself, or, where it is another, a copy of it in `room`.
const char *mpx_name_ordered(const char *name, char room[MPX_NAME_ROOM]);

#endif
