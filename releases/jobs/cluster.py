"""The inside of a cluster process: django-q2's cluster, with children that die with their parent."""

import ctypes
import os
import signal

from django_q.cluster import Cluster

from releases.jobs.context import ask_to_stop

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel (prctl(2)) to kill this process when the one that started it is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run_cluster() -> None:
    """Run a cluster until SIGTERM. All that it forks inherits the rules set here.

    - The supervisor's death kills this process, and this process's death all below it.
    - SIGUSR1 lets running steps yield at their next checkpoint; nothing dies of it.
    - Ctrl-C reaches the supervisor alone; it decides.
    """
    supervisor = os.getppid()
    die_with_parent()
    if os.getppid() != supervisor:
        return  # it died before prctl could be asked
    os.register_at_fork(after_in_child=die_with_parent)
    signal.signal(signal.SIGUSR1, ask_to_stop)
    cluster = Cluster()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cluster.start()
    if cluster.sentinel is not None:
        cluster.sentinel.join()
