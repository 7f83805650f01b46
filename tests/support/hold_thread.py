#!/usr/bin/env python3
"""hold_thread.py TID FILE: stops one thread of a process, then makes FILE, and lets the thread go
on when FILE is removed. The other threads of the process run on."""
import ctypes
import os
import sys
import time

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) != 0:
        sys.exit(f"ptrace {request:#x}: {os.strerror(ctypes.get_errno())}")


tid, path = int(sys.argv[1]), sys.argv[2]
ptrace(PTRACE_SEIZE, tid)
ptrace(PTRACE_INTERRUPT, tid)
os.waitpid(tid, WALL)
open(path, "w", encoding="ascii").close()
while os.path.exists(path):
    time.sleep(0.01)
ptrace(PTRACE_DETACH, tid)
