// A share's identity: the random id of its directory and its number there.
#ifndef MPX_SOURCE_IDENTITY_H
#define MPX_SOURCE_IDENTITY_H

#include <stdint.h>
#include <string.h>

enum { MPX_DIRECTORY_BYTES = 16 };

struct mpx_share_id {
    uint8_t directory[MPX_DIRECTORY_BYTES];
    uint64_t number;
};

static inline struct mpx_share_id mpx_share_id_of(const uint8_t *directory,
                                                  uint64_t number)
{
    struct mpx_share_id id = {.number = number};
    memcpy(id.directory, directory, sizeof id.directory);
    return id;
}

// The order of shares: by directory, then by number.
static inline int mpx_share_id_compare(const uint8_t *directory, uint64_t number,
                                       const uint8_t *other_directory,
                                       uint64_t other_number)
{
    int order = memcmp(directory, other_directory, MPX_DIRECTORY_BYTES);
    return order ? order : number < other_number ? -1 : number > other_number;
}

#endif
