"""Letters that arrive in a list, and a clock of the engine that a test moves."""

from collections.abc import Callable

import pytest
from django.core.mail import EmailMessage

from releases.jobs import engine
from tests.releases.conftest import moment

__all__ = ["moment", "post", "work"]


@pytest.fixture
def work() -> Callable[[], int]:
    """Do the durable work that is due, as a worker does; gives how many steps ran."""

    def done() -> int:
        runs = 0
        while due := engine.due_steps():
            runs += sum(engine.run_step(step, has_heartbeat=False) for step in due)
        return runs

    return done


@pytest.fixture
def post(work: Callable[[], int], mailoutbox: list[EmailMessage]) -> Callable[[], EmailMessage]:
    """Let the workers send what is owed; gives the newest letter."""

    def sent() -> EmailMessage:
        before = len(mailoutbox)
        work()
        assert len(mailoutbox) > before
        return mailoutbox[-1]

    return sent
