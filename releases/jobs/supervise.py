"""`manage.py work`: one cluster of workers, watched from outside.

django-q2 wakes, the rows decide. What its cluster cannot do for itself is done here:
- the reconciler runs in this process, whatever the cluster's state, and starts what comes back every period;
- a cluster that stopped moving while steps are due (an idle worker was killed while it held the queue's lock)
  is killed as a group and started again;
- nobody outlives this process: every child has a parent-death signal;
- on Ctrl-C steps yield at their next checkpoint; what has not ended after DFC_GRACE_S is killed.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import close_old_connections
from django.db.models import Sum
from django.db.utils import DatabaseError

from releases.jobs import engine, recurring
from releases.jobs.clock import clock
from releases.jobs.family import die_with
from releases.models import Step

logger = logging.getLogger(__name__)

LOOP_S = 0.5
LONGEST_PAUSE_S = 30.0
MOST_DOUBLINGS = 4


class Cluster:
    """One django-q2 cluster in a process group of its own."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(sys.argv[0]).resolve()), "work", "--cluster"]
        self.process = subprocess.Popen(
            command,
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509  the supervisor has no threads
        )
        self.started_at = time.monotonic()

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def signal_group(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """Kill the whole group, orphans of a dead main process included."""
        self.signal_group(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Let running steps yield and the cluster end; kill what is left after the grace time."""
        self.process.send_signal(signal.SIGUSR1)
        self.process.terminate()
        try:
            self.process.wait(timeout=settings.DFC_GRACE_S)
        except subprocess.TimeoutExpired:
            logger.warning("cluster %s did not end in %s s; killing it", self.process.pid, settings.DFC_GRACE_S)
        self.kill()


class Watchdog:
    """Tells a stall: steps have been due, none was ever claimed, and no fence moved for DFC_STALL_S.

    A cluster that was started because of a stall gets twice the time of the one before, or it would be ended for ever
    before it has begun where the machine is busy.
    """

    def __init__(self) -> None:
        self.fences = -1
        self.moved_at = time.monotonic()
        self.fruitless = 0

    def is_stalled(self) -> bool:
        fences = Step.objects.aggregate(total=Sum("fence"))["total"] or 0
        if fences != self.fences or not engine.due_steps() or self.is_busy():
            self.fences, self.moved_at, self.fruitless = fences, time.monotonic(), 0
        patience_s: float = settings.DFC_STALL_S * 2**self.fruitless
        return time.monotonic() - self.moved_at > patience_s

    def is_busy(self) -> bool:
        """Tell whether every worker holds a live lease, so that due steps rightly wait."""
        running = Step.objects.filter(state=Step.State.RUNNING, lease_until_at__gt=clock.now())
        return running.count() >= settings.DFC_WORKERS

    def restarted(self) -> None:
        self.moved_at, self.fruitless = time.monotonic(), min(self.fruitless + 1, MOST_DOUBLINGS)


class Supervisor:
    """Keeps one cluster running until it is told to stop."""

    def __init__(self) -> None:
        self.stop_asked = threading.Event()
        self.watchdog = Watchdog()
        self.pause_s = 0.0

    def ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stop_asked.set()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.ask_to_stop)
        cluster = Cluster()
        try:
            while not self.stop_asked.wait(LOOP_S):
                self.look_after_rows()
                if not cluster.is_alive() or self.is_stalled():
                    cluster = self.replace(cluster)
        finally:
            cluster.stop()

    def look_after_rows(self) -> None:
        try:
            close_old_connections()
            engine.reconcile()
            recurring.start_owed()
        except DatabaseError:
            logger.exception("the reconciler could not reach the database; it tries again")

    def is_stalled(self) -> bool:
        try:
            return self.watchdog.is_stalled()
        except DatabaseError:
            return False

    def replace(self, cluster: Cluster) -> Cluster:
        """Kill what is left and start anew; a cluster that dies at once is given growing pauses."""
        logger.warning("cluster %s ended or stopped moving; starting another", cluster.process.pid)
        cluster.kill()
        lived_s = time.monotonic() - cluster.started_at
        self.pause_s = 0.0 if lived_s > LONGEST_PAUSE_S else min(self.pause_s * 2 + 0.5, LONGEST_PAUSE_S)
        if self.stop_asked.wait(self.pause_s if lived_s < 1 else 0):
            return cluster
        self.watchdog.restarted()
        return Cluster()
