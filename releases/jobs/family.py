"""No process outlives the one that started it: prctl(2) with PR_SET_PDEATHSIG."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies; if that has died meanwhile, die now.

    To be called in the child; the death signal stays when the child runs another program.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


class Lineage:
    """Remembers across a fork who forked."""

    def __init__(self) -> None:
        self.parent = os.getpid()

    def remember(self) -> None:
        self.parent = os.getpid()

    def die_with_parent(self) -> None:
        die_with(self.parent)


def bind_forks() -> None:
    """From now on whatever this process forks, and whatever those fork, dies with the one that forked it."""
    lineage = Lineage()
    os.register_at_fork(before=lineage.remember, after_in_child=lineage.die_with_parent)
