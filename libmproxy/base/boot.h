// Which boot of the kernel this is: times since boot mean something within one only.
#ifndef MPX_BASE_BOOT_H
#define MPX_BASE_BOOT_H

#define MPX_BOOT_ID_ROOM 40 // bytes, with the NUL

// The id of this boot, "" if it is not known.
void mpx_boot_id(char out[MPX_BOOT_ID_ROOM]);

#endif
