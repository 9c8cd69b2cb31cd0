#!/usr/bin/env python3
"""stall.py: holds one thread of a process while a command runs: a pipeline that gets no processor

    stall.py PID COMMAND...     the first thread (the pipeline) stands still, the others (heartbeats) go on

By ptrace: whoever holds it may die, the thread goes on then.
"""
import ctypes
import os
import subprocess
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid):
    if libc.ptrace(request, pid, None, None) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace: {os.strerror(error)}")


def main():
    pid = int(sys.argv[1])
    ptrace(PTRACE_SEIZE, pid)
    ptrace(PTRACE_INTERRUPT, pid)
    os.waitpid(pid, WALL)
    status = subprocess.call(sys.argv[2:])
    ptrace(PTRACE_DETACH, pid)
    sys.exit(status)


main()
