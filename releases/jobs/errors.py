"""What the durable engine refuses, and how it stops a step that lost its right to write."""

from datetime import datetime

from catalog.errors import PersonMustActError


class PipelineError(PersonMustActError):
    """A pipeline is declared wrongly; it stops the start."""


class JobRefusedError(PersonMustActError):
    """A person's retry, skip, stop or resume does not fit the state of the step or job."""


class AwaitedJobFailedError(PersonMustActError):
    """The job that a step waits for failed or was stopped."""


class StepStopped(BaseException):
    """The step has to end here without writing anything more."""


class LeaseLost(StepStopped):
    """Another worker holds the step now, or a person took it away."""


class StepYielded(StepStopped):
    """The worker is being stopped; the step goes on elsewhere from its checkpoint."""


class StepPaused(StepStopped):
    """The step goes on at `until_at`: before that, an earlier call of it to the outside may be under way."""

    def __init__(self, until_at: datetime) -> None:
        super().__init__(until_at)
        self.until_at = until_at


class StepAwaits(StepStopped):
    """The step waits for another job and gives its worker free; `job_id` says for which."""

    def __init__(self, job_id: int) -> None:
        super().__init__(job_id)
        self.job_id = job_id
