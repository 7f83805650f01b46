// The bytes of the state file.
//
//     magic[8] "MPXLEDGR", version u32, crc u32 of the body (zlib's), length u64 of the body,
//     body; what follows the body is reserve and means nothing.
//
// The body: directory id, boot id, epoch, next share number, refused, the metrics that
// occur, pending names, absorbed numbers as spans, the base, the shares.
#ifndef MPX_LEDGER_STATE_H
#define MPX_LEDGER_STATE_H

#include "ledger/private.h"

#define MPX_STATE_MAGIC "MPXLEDGR"
#define MPX_STATE_VERSION 1u
enum { MPX_STATE_HEAD = 24 };

// What a state is to say instead of what the ledger holds: an absorption that is only tried.
struct mpx_state_view {
    const struct mpx_slots *base;
    const mproxy_span *absorbed;
    size_t absorbed_count;
};

// Encode into l->encoded. Shares that are released are left out.
mproxy_status mpx_state_encode(struct mproxy_ledger *l, const struct mpx_state_view *view,
                               mproxy_error *err);
// Fill an empty ledger (store, walltime set). On failure it holds a part of it, for close.
// @return MPROXY_OK, MPROXY_E_CORRUPT, MPROXY_E_VERSION, MPROXY_E_NOMEM
mproxy_status mpx_state_decode(struct mproxy_ledger *l, const void *bytes, size_t length,
                               mproxy_error *err);

#endif
