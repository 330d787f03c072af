"""Ends all that a peer's program has started, once that program has ended, in whatever way that happened.

Peers start processes of their own that a kill of the program would leave behind. They are in its process group, or have the
token in their environment: some have a group of their own, and others write over their environment to change their title.
"""
import os
import signal
import sys

VARIABLE = "TROUPE_BENCH_PEER"


def belongs(pid, group, mark):
    try:
        if os.getpgid(int(pid)) == group:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def end_all(group, mark):
    # A few times over, since one that is being started may not be seen at first.
    for _ in range(20):
        found = [int(name) for name in os.listdir("/proc") if name.isdigit() and belongs(name, group, mark)]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


if __name__ == "__main__":
    # Standard input ends when the program does.
    sys.stdin.buffer.read()
    end_all(int(sys.argv[1]), f"{VARIABLE}={sys.argv[2]}".encode())
