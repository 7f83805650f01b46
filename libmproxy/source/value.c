#include <mproxy/source.h>

#include "store/numbers.h"

mproxy_value mproxy_source_value(const mproxy_source *source, size_t slot)
{
    if (slot < source->count)
        return source->values ? source->values[slot]
                              : mpx_numbers_at(source->numbers, (uint32_t)slot);
    slot -= source->count;
    return source->node_values ? source->node_values[slot]
                               : mpx_numbers_at(source->node_numbers, (uint32_t)slot);
}
