"""The inside of a cluster process: django-q2's cluster, with children that die with their parent."""

import multiprocessing
import os
import signal
from contextlib import suppress

from django_q.cluster import Cluster

from releases.jobs.context import ask_to_stop
from releases.jobs.family import bind_forks


def yield_all(*_signal: object) -> None:
    """Let the running steps of this process and of all below it yield at their next checkpoint.

    Parents tell their children: a signal to the whole group would also reach programs that steps have started,
    and they would die of it.
    """
    ask_to_stop()
    for pid in [child.pid for child in multiprocessing.active_children() if child.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)


def run_cluster() -> None:
    """Run a cluster until SIGTERM. All that it forks inherits the rules set here.

    - The death of a process kills all below it.
    - SIGUSR1 lets running steps yield; nothing dies of it.
    - Ctrl-C reaches the supervisor alone; it decides.
    """
    bind_forks()
    signal.signal(signal.SIGUSR1, yield_all)
    cluster = Cluster()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cluster.start()
    if cluster.sentinel is not None:
        cluster.sentinel.join()
