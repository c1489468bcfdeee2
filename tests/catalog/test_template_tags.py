"""What templates say of amounts and states, in both languages."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import models
from django.template import Context, Template
from django.utils.translation import override

from catalog.models import Version
from catalog.templatetags.parts import ICONS, KINDS
from mirrors.models import Deposit, Replica
from releases.models import Build, Job, Release, Step

STATES = (
    Version.State,
    Release.State,
    Job.State,
    Step.State,
    Build.State,
    Build.Verdict,
    Replica.State,
    Deposit.State,
)
CALM = {
    "draft",
    "built",
    "approved",
    "pending",
    "stored",
    "due",
    "removed",
}  # nothing runs and nothing is asked: idle


def rendered(text: str, language: str = "en", **words: Any) -> str:
    with override(language):
        return Template(f"{{% load amounts parts %}}{text}").render(Context(words))


@pytest.mark.parametrize("states", STATES, ids=lambda one: one.__qualname__)
def test_every_state_has_a_kind_or_is_known_to_be_calm(states: type[models.TextChoices]) -> None:
    known = {word for words in KINDS.values() for word in words}
    assert set(states.values) <= known | CALM


def test_a_state_word_has_one_kind_alone() -> None:
    words = [word for words in KINDS.values() for word in words]
    assert sorted(words) == sorted(set(words))
    assert not CALM & set(words)


def test_a_state_is_a_word_with_the_icon_of_its_kind() -> None:
    shown = rendered("{% state replica %}", replica=Replica(state=Replica.State.DAMAGED))
    assert "badge--bad" in shown
    assert f"#{ICONS['bad']}" in shown
    assert "Damaged" in shown


def test_another_field_of_choices_can_be_shown_as_a_state() -> None:
    build = Build(state=Build.State.SUCCEEDED, verdict=Build.Verdict.DIFFERENT)
    shown = rendered('{% state build "verdict" %}', "fr", build=build)
    assert "badge--bad" in shown
    assert "Différente" in shown


@pytest.mark.parametrize(
    ("word", "words"),
    [("waiting", "Waits"), ("running", "Running"), ("done", "Done"), ("failed", "Failed"), ("stopped", "Stopped")],
)
def test_every_state_of_a_stage_has_words(word: str, words: str) -> None:
    assert words in rendered("{% state stage %}", stage=SimpleNamespace(state=word))


def test_the_number_column_of_a_table_is_marked_and_no_other() -> None:
    shown = rendered('{% table_head "Path" "Size" numbers="Size" %}')
    assert shown.count('class="num"') == 1
    assert 'class="num">Size</th>' in shown


def test_a_rate_reads_in_whole_bytes() -> None:
    assert rendered("{{ rate|plain_size }}/s", rate=399.83) == "400\u00a0bytes/s"


def test_degrees_follow_the_language() -> None:
    assert rendered("{{ west|degrees }}", west=-141.002) == "\u2212141.00°"
    assert rendered("{{ west|degrees }}", "fr", west=-141.002) == "\u2212141,00°"


def test_a_media_type_is_named_as_people_name_it() -> None:
    shown = rendered("{{ one|media }}", one="text/csv; charset=utf-8")
    assert shown == '<span title="text/csv; charset=utf-8">CSV</span>'
    assert ">application/x-new<" in rendered("{{ one|media }}", one="application/x-new")
