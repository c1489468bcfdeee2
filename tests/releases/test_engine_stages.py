"""Pipelines, stages, waiting for other jobs, and what the queue may lose or double."""

from collections.abc import Callable
from typing import Any

import pytest

from catalog.errors import PersonMustActError, TryLaterError
from releases import tasks
from releases.jobs import engine, registry, steering
from releases.jobs.context import StepContext
from releases.jobs.errors import AwaitedJobFailedError, PipelineError
from releases.jobs.registry import Pipeline, Stage, StepSpec
from releases.models import Job, Step
from tests.chaos.scripted import FUNCTION, claim, first_step, play_for, queued, raising, run, states
from tests.releases.conftest import Capture, Moment, Start

pytestmark = pytest.mark.django_db


def one_stage(name: str, *, functions: tuple[str, ...], spec: str = FUNCTION) -> Pipeline:
    return Pipeline(name, (Stage("only", "Only", lambda subject: [StepSpec(spec, subject, "step")], functions),))


def test_a_wrongly_declared_pipeline_stops_the_start(pipelines: None) -> None:
    for function, finding in (
        ("tests.chaos.scripted.no_such", "cannot be imported"),
        ("no_such_module.act", "cannot be imported"),
        ("tests.chaos.scripted.STAGES", "is not a function"),
    ):
        with pytest.raises(PipelineError, match=rf"Pipeline odd: .*{function} {finding}.*Correct its name\."):
            registry.declare([one_stage("odd", functions=(function,))])
    assert registry.pipeline("scripted").name == "scripted"


def test_a_job_of_an_undeclared_pipeline_is_refused(pipelines: None) -> None:
    with pytest.raises(PipelineError, match=r"Pipeline 'none' is not declared\. Declare it before starting"):
        engine.start("one", "none", 1)


def test_a_stage_may_only_ask_for_its_own_functions(pipelines: None) -> None:
    registry.declare([one_stage("odd", functions=(FUNCTION,), spec="os.mkdir")])
    with pytest.raises(PipelineError, match=r"Pipeline odd, stage only: os\.mkdir is not one of its functions"):
        engine.start("one", "odd", 1)
    assert not Job.objects.exists()


def test_steps_of_a_stage_run_beside_each_other_and_the_next_waits_for_all(start: Start) -> None:
    job = start("one", [[True, True], [True]])
    first, second = (claim(step) for step in job.steps.all())
    StepContext(second).complete()
    assert states(job) == ["running", "done"]
    StepContext(first).complete()
    assert states(job) == ["done", "done", "due"]


def test_stages_without_steps_are_passed_over(start: Start) -> None:
    job = start("one", [[], [True], []])
    assert states(job) == ["due"]
    run(first_step(job))
    job.refresh_from_db()
    assert (job.state, job.stage) == (Job.State.DONE, 3)
    assert start("two", [[], [], []]).state == Job.State.DONE


def test_optional_steps_hold_no_stage_but_the_job_waits_for_them(start: Start) -> None:
    job = start("one", [[False, False], [True, False]])
    assert states(job) == ["due"] * 4
    optional, other, required, last = job.steps.order_by("stage", "position")
    for step in (required, other, last):
        run(step)
    job.refresh_from_db()
    assert job.state == Job.State.OPEN
    play_for(optional, raising(PersonMustActError("The mirror refused it.")))
    run(optional)
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert states(job) == ["failed", "done", "done", "done"]


def test_a_job_fails_only_when_nothing_of_it_moves_any_more(start: Start) -> None:
    job = start("one", [[True, True]])
    bad, good = job.steps.all()
    play_for(bad, raising(PersonMustActError("Broken.")))
    run(bad)
    job.refresh_from_db()
    assert job.state == Job.State.OPEN
    run(good)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert job.ended_at is not None


def test_a_stage_that_cannot_open_fails_the_step_before_it_and_writes_nothing(start: Start) -> None:
    job = start("one", [[True], [True]])
    registry.declare([Pipeline("scripted", (registry.pipeline("scripted").stages[0], refusing_stage()))])
    step = run(first_step(job))
    assert (step.state, step.error) == (Step.State.FAILED, "No mirror is required. Add a policy, then retry.")
    assert states(job) == ["failed"]


def refusing_stage() -> Stage:
    def refuse(_subject: int) -> list[StepSpec]:
        raise PersonMustActError("No mirror is required. Add a policy, then retry.")

    return Stage("b", "B", refuse, (FUNCTION,))


def test_a_lost_message_is_sent_again_but_not_more_than_once_a_while(
    start: Start, moment: Moment, settings: Any, django_capture_on_commit_callbacks: Capture
) -> None:
    step = first_step(start("one", [[True]]))
    for seconds, sent in ((0, []), (settings.DFC_REWAKE_S, [step.pk]), (1, [step.pk]), (9, [step.pk] * 2)):
        moment.forward(seconds)
        with django_capture_on_commit_callbacks(execute=True):
            engine.reconcile()
        assert queued() == sent
    assert engine.due_steps() == [step.pk]


def test_a_doubled_message_runs_the_step_once(start: Start) -> None:
    runs: list[int] = []
    step = first_step(start("one", [[True]]))
    play_for(step, lambda context: runs.append(context.attempt))
    tasks.run_step(step.pk)
    tasks.run_step(step.pk)
    assert runs == [1]


def test_a_step_that_waits_for_a_job_gives_its_worker_free_and_goes_on_after_it(start: Start) -> None:
    outer, inner = start("outer", [[True]]), start("inner", [[True]])
    step = first_step(outer)
    play_for(step, lambda context: context.wait_for("inner"))
    assert run(step).state == Step.State.AWAITING
    assert (step.awaits, step.attempts) == (inner, 0)
    run(first_step(inner))
    assert run(step).state == Step.State.DONE


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda job: run(first_step(job)), r"inner: failed, needs a person\. Disk full\. Mend that first"),
        (lambda job: steering.cancel(job, by=None), r"inner: stopped\..*Mend that first, then retry here"),
    ],
    ids=["failed", "stopped"],
)
def test_a_step_whose_awaited_job_ends_badly_says_so(start: Start, end: Callable[[Job], Any], words: str) -> None:
    step, inner = first_step(start("outer", [[True]])), start("inner", [[True]])
    play_for(step, lambda context: context.wait_for("inner"))
    play_for(first_step(inner), raising(PersonMustActError("Disk full.")))
    run(step)
    end(inner)
    inner.refresh_from_db()
    with pytest.raises(AwaitedJobFailedError, match=words):
        StepContext(claim(step)).wait_for("inner")


def test_a_step_parked_after_its_awaited_job_ended_is_due_at_once(start: Start) -> None:
    step, inner = claim(first_step(start("outer", [[True]]))), start("inner", [[True]])
    run(first_step(inner))
    engine.park(step, inner.pk)
    step.refresh_from_db()
    assert (step.state, step.attempts) == (Step.State.DUE, 0)


def test_the_reconciler_finds_a_step_whose_awaited_job_ended_unseen(start: Start) -> None:
    step, inner = first_step(start("outer", [[True]])), start("inner", [[True]])
    play_for(step, lambda context: context.wait_for("inner"))
    run(step)
    Job.objects.filter(pk=inner.pk).update(state=Job.State.FAILED, ended_at=step.due_at)
    assert engine.reconcile() == 1
    step.refresh_from_db()
    assert step.state == Step.State.DUE


def test_draining_runs_all_that_is_and_becomes_due(start: Start, settings: Any) -> None:
    settings.DFC_BACKOFF_S = 0.01
    job = start("one", [[True, False], [True]])
    outcomes = [TryLaterError("Not yet."), None]

    def once_bad(_step: StepContext) -> None:
        error = outcomes.pop(0)
        if error is not None:
            raise error

    play_for(first_step(job), once_bad)
    assert engine.drain(30) == 4
    assert states(job) == ["done", "done", "done"]
