// How a process asks a proxy that counts system calls in the kernel to be tracked:
//     prctl(MPX_MARK_OPTION, &mark)
// which the kernel refuses as invalid, with or without anybody who listens. It counts from
// its next exec on, with all its children. Whether somebody listens, the file MPX_MARK_FILE
// in the rendezvous directory of a live proxy says.
#ifndef MPX_LAUNCH_MARK_H
#define MPX_LAUNCH_MARK_H

#define MPX_MARK_OPTION 0x4d585943
#define MPX_MARK_FILE "syscalls"

enum { MPX_MARK_TEXT = 4000 };

// Read by the kernel's program, too.
struct mpx_mark {
    // Of the rendezvous directory: whose proxy is asked.
    unsigned long long dir_device, dir_inode;
    long long start_time;
    unsigned long long size; // ranks of the job
    unsigned rank;
    // Each with its NUL: jobid, nodelist, partition, cluster, run_dir, command. What does not
    // fit is left out or, of the command, cut.
    char text[MPX_MARK_TEXT];
};

#endif
