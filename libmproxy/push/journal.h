// The journal: files in the proxy's state directory that hold all groups.
//
// Records are appended to the newest file, `push-N`. When that has become much longer than what
// it tells, a file of the next generation is begun: whoever keeps the groups writes each of
// them into it, a few at a time, while changes go there, too; then the older files go. So at
// any moment the files, read in their order, tell all groups, and none is ever written over.
#ifndef MPX_PUSH_JOURNAL_H
#define MPX_PUSH_JOURNAL_H

#include "base/log.h"
#include "push/record.h"

struct mpx_push_journal;

// Take a record of an earlier proxy. `is_first`: a file begins, ids of series mean nothing yet.
//
// @return MPROXY_OK; MPROXY_E_CORRUPT: it makes no sense; MPROXY_E_NOMEM
typedef mproxy_status (*mpx_push_take_fn)(void *arg, const struct mpx_push_record *record,
                                          bool is_first);

struct mpx_push_journal_options {
    int dir_fd; // duplicated
    const struct mpx_logger *logger;
    mpx_push_take_fn take;
    void *arg;
};

// Read what is there, and begin a file. A file with damage is told of, what is whole in it is
// taken, and once that is settled it is kept aside as `push-N.damaged`. Without room for a file
// it opens all the same, and appending fails.
//
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_push_journal_open(const struct mpx_push_journal_options *options,
                                    struct mpx_push_journal **out, mproxy_error *err);
void mpx_push_journal_close(struct mpx_push_journal *j); // accepts NULL

// The newest file's; rises with each.
uint64_t mpx_push_journal_generation(const struct mpx_push_journal *j);
// Append frames, all or nothing. @return MPROXY_OK, MPROXY_E_SYSTEM, MPROXY_E_NOMEM
mproxy_status mpx_push_journal_append(struct mpx_push_journal *j,
                                      const struct mpx_buf *frames, mproxy_error *err);
// Whether the newest file is worth a new one; `live`: bytes that all groups would take.
bool mpx_push_journal_is_long(const struct mpx_push_journal *j, size_t live);
// Begin a file. On failure all is as before. @return MPROXY_OK, MPROXY_E_SYSTEM
mproxy_status mpx_push_journal_turn(struct mpx_push_journal *j, mproxy_error *err);
// All groups are in the newest file: the older ones go.
void mpx_push_journal_settle(struct mpx_push_journal *j);
bool mpx_push_journal_has_older(const struct mpx_push_journal *j);
// Whether the newest file is still where it was put.
bool mpx_push_journal_is_there(const struct mpx_push_journal *j);
// The directory was made anew: files are written there from now on; nothing is in it yet.
mproxy_status mpx_push_journal_move(struct mpx_push_journal *j, int dir_fd,
                                    mproxy_error *err);
size_t mpx_push_journal_bytes(const struct mpx_push_journal *j); // of all files
// What they may come to while no more than `live` is held: a long file, and a copy of it.
size_t mpx_push_journal_most(size_t live);

#endif
