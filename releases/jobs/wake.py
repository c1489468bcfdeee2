"""The only place that knows the queue: a hint that a step is due."""

from collections.abc import Sequence
from functools import partial

from django.db import transaction
from django_q.tasks import async_task


def wake_all(step_ids: Sequence[int]) -> None:
    """Send one hint a step when the transaction commits; a failure to send is cured by the reconciler."""
    for step_id in step_ids:
        transaction.on_commit(partial(async_task, "releases.tasks.run_step", step_id), robust=True)
