"""Steps under way go on though the module of their function has another name since."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from dfc_site import pipelines
from releases.jobs.registry import Pipeline
from releases.models import Step
from tests.releases.conftest import Start

rooms: Any = import_module("releases.migrations.0009_rooms")


def functions() -> set[str]:
    found = [one for one in vars(pipelines).values() if isinstance(one, Pipeline)]
    return {function for pipeline in found for stage in pipeline.stages for function in stage.functions}


def test_every_new_name_is_one_of_the_engine_and_no_former_name_is_left() -> None:
    named = functions()
    assert all(any(one.startswith(present) for one in named) for present in rooms.MOVED.values())
    assert not [one for one in named if one.startswith(tuple(rooms.MOVED))]


@pytest.mark.django_db
def test_a_step_under_way_bears_the_new_name_and_others_keep_theirs(start: Start) -> None:
    moved, kept = start("one", [[True, True]]).steps.order_by("pk")
    Step.objects.filter(pk=moved.pk).update(function="releases.execute.run_build")
    rooms.forward(apps, None)
    names = set(Step.objects.values_list("function", flat=True))
    assert names == {"releases.builds.execute.run_build", kept.function}
    rooms.back(apps, None)
    assert Step.objects.get(pk=moved.pk).function == "releases.execute.run_build"
