#!/bin/sh
# Code that runs inside programs opens files by base/sys.h, which gives no number of a standard
# stream; what can't be written may be opened by the C library. daemon() opens what the program asked for.
. "$(dirname "$0")/lib.sh"

cd "$source_dir"
grep -rnE 'SYS_(open|openat|openat2|creat|memfd_create|socket)\b' libmproxy bindings \
    --include='*.[ch]' | grep -vE '^(libmproxy/base/sys\.h|bindings/process/daemon\.c):' |
    complain_lines "a descriptor by a system call of its own"
grep -rnE '\bmpx_open_plain *\(' libmproxy bindings --include='*.[ch]' |
    grep -vE '^libmproxy/base/(sys\.h|boot\.c|filters\.c):' |
    complain_lines "a descriptor that may have the number of a standard stream"
grep -nE '\b(open|openat|creat|fopen|opendir|socket|dup|pipe2?) *\(' -r libmproxy/client \
    libmproxy/writer bindings --include='*.[ch]' | grep -vE 'O_RDONLY|: *//|^[^:]*:[^:]*: *\*' |
    complain_lines "a descriptor by the C library"
verdict
