"""Second thoughts are decisions of two people: all of a decision happens, once, or nothing of it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.models import Alias, CatalogueChange, Dataset, Version
from catalog.naming import IdentifierError
from catalog.storage.connect import own_storage
from releases.build import request_build
from releases.draft import draft_release
from releases.drafts.definition import read_definition
from releases.errors import (
    DatasetUnknownError,
    DecisionUnknownError,
    NotAllowedError,
    NotBuildableError,
    NotDecidableError,
    NotDraftableError,
    NotProposableError,
    ReasonError,
)
from releases.find import find_decision, find_release
from releases.models import Decision, Job, Release
from releases.propose import propose_deprecation, propose_rename, propose_withdrawal
from releases.second import refuse_decision
from tests import factories
from tests.releases.recipes import (
    IDENTIFIER,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    drafted,
    edit,
    everything,
    person,
    recipe,
    release_toml,
    reviewer_fixture,  # noqa: F401  a fixture
    strangers,
)
from tests.releases.second_thoughts import (
    ENGLISH,
    FRENCH,
    NEW_NAME,
    at_once,
    dataset,
    public,
    second,
    state_of,
    words,
)

pytestmark = pytest.mark.django_db

Propose = Callable[..., Decision]
KINDS = [(propose_deprecation, "deprecated"), (propose_withdrawal, "withdrawn")]


@pytest.mark.parametrize(("propose", "state"), KINDS)
def test_a_proposal_changes_nothing_until_a_second_person_takes_it(
    author: Any, reviewer: Any, propose: Propose, state: str
) -> None:
    version = public()
    decision = propose(version, **words(author))
    assert state_of(version) == "published"
    assert not CatalogueChange.objects.exists()
    second(decision, reviewer)
    assert state_of(version) == state
    assert (decision.state, decision.seconder, decision.answer_channel) == ("taken", reviewer, "command")
    change = CatalogueChange.objects.get()
    assert str(version) in change.what
    started = {f"catalogue:{change.pk}", f"describe:decision:{decision.pk}"}
    assert set(Job.objects.values_list("key", flat=True)) == started


def test_latest_passes_over_what_is_deprecated_or_withdrawn(author: Any, reviewer: Any) -> None:
    old = public("1.0.0")
    new = public("1.1.0", old.dataset)
    assert Version.objects.latest_of(old.dataset) == new
    second(propose_deprecation(new, **words(author)), reviewer)
    assert Version.objects.latest_of(old.dataset) == old
    second(propose_withdrawal(old, **words(author)), reviewer)
    assert Version.objects.latest_of(old.dataset) is None


def test_what_is_deprecated_can_still_be_withdrawn(author: Any, reviewer: Any) -> None:
    version = public()
    second(propose_deprecation(version, **words(author)), reviewer)
    version.refresh_from_db()
    second(propose_withdrawal(version, **words(author)), reviewer)
    assert state_of(version) == "withdrawn"


def test_nobody_seconds_what_they_proposed(author: Any) -> None:
    version = public()
    decision = propose_withdrawal(version, **words(author))
    with pytest.raises(NotDecidableError, match=r"author proposed it\. A second person has to take it"):
        second(decision, author)
    assert state_of(version) == "published"
    facts = {"state": "taken", "seconder": author, "decided_at": timezone.now(), "answer_channel": "admin"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(**facts)


def test_one_person_decides_alone_only_where_the_setting_says_so(author: Any, settings: Any) -> None:
    settings.DFC_APPROVERS = 0
    version = public()
    decision = propose_withdrawal(version, **words(author))
    assert (decision.state, decision.has_second_person) == ("taken", False)
    assert state_of(version) == "withdrawn"
    assert CatalogueChange.objects.count() == 1


@pytest.mark.parametrize("propose", [propose_deprecation, propose_withdrawal])
def test_only_who_may_proposes_seconds_or_refuses(bench: Path, author: Any, propose: Propose) -> None:
    version, others = public(), strangers()
    for one in others.values():
        with pytest.raises(NotAllowedError, match="may not propose a decision"):
            propose(version, **words(one))
    decision = propose(version, **words(author))
    before = everything(bench)
    for one in others.values():
        with pytest.raises(NotAllowedError, match="may not second a decision"):
            second(decision, one)
        with pytest.raises(NotAllowedError, match="may not second a decision"):
            refuse_decision(decision, by=one, channel="admin", reason="I am against it.", now=timezone.now())
    assert everything(bench) == before


@pytest.mark.parametrize(
    ("english", "french", "finding"),
    [
        ("Too short", FRENCH, "Reason in English: Say in at least 10"),
        (ENGLISH, "   x       ", "Reason in French: Say in at least 10"),
        (ENGLISH, "x" * 4001, "Reason in French: Say in at most 4000"),
        (f"{ENGLISH}\0", FRENCH, r"Reason in English: .*U\+0000"),
    ],
)
def test_both_languages_need_a_reason(author: Any, english: str, french: str, finding: str) -> None:
    version = public()
    with pytest.raises(ReasonError, match=finding):
        propose_withdrawal(version, **words(author, reason_en=english, reason_fr=french))
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    ("propose", "state"),
    [
        (propose_deprecation, "draft"),
        (propose_deprecation, "deprecated"),
        (propose_deprecation, "withdrawn"),
        (propose_withdrawal, "draft"),
        (propose_withdrawal, "withdrawn"),
    ],
)
def test_only_what_is_public_is_decided_about(author: Any, propose: Propose, state: str) -> None:
    version = public(state=state)
    with pytest.raises(NotProposableError, match=f"it is {state}"):
        propose(version, **words(author))


def test_the_same_is_proposed_once_until_it_is_answered(author: Any, reviewer: Any) -> None:
    version = public()
    first = propose_withdrawal(version, **words(author))
    with pytest.raises(NotProposableError, match="this is proposed already"):
        propose_withdrawal(version, **words(reviewer))
    propose_deprecation(version, **words(reviewer))
    refuse_decision(first, by=reviewer, channel="admin", reason="The licence is right.", now=timezone.now())
    assert propose_withdrawal(version, **words(author)).state == "proposed"


def test_what_to_use_instead_is_another_published_version_of_the_dataset(author: Any, reviewer: Any) -> None:
    version = public("1.0.0")
    other = public("2.0.0", version.dataset)
    wrong = [
        version,
        public("3.0.0", version.dataset, state="withdrawn"),
        public("4.0.0", version.dataset, state="draft"),
        public("1.0.0", dataset(NEW_NAME)),
    ]
    for one in wrong:
        with pytest.raises(NotProposableError, match="Name another published version"):
            propose_deprecation(version, replacement=one, **words(author))
    decision = propose_deprecation(version, replacement=other, **words(author))
    Version.objects.filter(pk=other.pk).update(state="withdrawn")
    with pytest.raises(NotDecidableError, match="Name another published version"):
        second(find_decision(decision.pk), reviewer)
    assert (state_of(version), Decision.objects.get().state) == ("published", "proposed")


def test_a_refusal_has_a_reason_and_leaves_all_as_it_was(author: Any, reviewer: Any) -> None:
    version = public()
    decision = propose_withdrawal(version, **words(author))
    with pytest.raises(ReasonError, match="at least 10"):
        refuse_decision(decision, by=reviewer, channel="admin", reason="No.", now=timezone.now())
    refuse_decision(decision, by=reviewer, channel="admin", reason="  The licence is right.  ", now=timezone.now())
    assert (decision.state, decision.seconder, decision.answer) == ("refused", reviewer, "The licence is right.")
    assert state_of(version) == "published"
    assert not CatalogueChange.objects.exists()
    with pytest.raises(NotDecidableError, match="it is refused already"):
        second(decision, reviewer)


def test_a_proposer_takes_a_proposal_back_without_a_reason(author: Any) -> None:
    decision = propose_withdrawal(public(), **words(author))
    refuse_decision(decision, by=author, channel="command", reason=" ", now=timezone.now())
    assert (decision.state, decision.seconder, decision.answer) == ("dropped", None, "")


def test_a_withdrawal_drops_the_deprecation_that_nobody_answered(author: Any, reviewer: Any) -> None:
    version = public()
    deprecation = propose_deprecation(version, **words(author))
    withdrawal = propose_withdrawal(version, **words(author))
    second(withdrawal, reviewer)
    deprecation.refresh_from_db()
    assert (deprecation.state, deprecation.answer) == ("dropped", f"Overtaken by decision {withdrawal.pk}.")
    with pytest.raises(NotDecidableError, match="it is dropped already"):
        second(deprecation, reviewer)


def test_seconding_twice_happens_once(author: Any, reviewer: Any) -> None:
    decision = propose_withdrawal(public(), **words(author))
    late = Decision.objects.get(pk=decision.pk)
    second(decision, reviewer)
    with pytest.raises(NotDecidableError, match="it is taken already"):
        second(late, reviewer)
    assert CatalogueChange.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_seconds_at_once_one_wins(author: Any, reviewer: Any) -> None:
    decision, other = propose_withdrawal(public(), **words(author)), person("other", "curator")
    acts = [partial(second, Decision.objects.get(pk=decision.pk), by) for by in (reviewer, other)]
    assert at_once(*acts) == ["NotDecidableError", "done"]
    decision.refresh_from_db()
    assert decision.seconder in {reviewer, other}
    assert CatalogueChange.objects.count() == Job.objects.filter(pipeline="catalogue").count() == 1
    assert Job.objects.filter(pipeline="describe").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_deprecation_and_a_withdrawal_at_once_end_withdrawn_or_ask_again(author: Any, reviewer: Any) -> None:
    version = public()
    decisions = [propose(version, **words(author)) for propose, _state in KINDS]
    ends = at_once(*(partial(second, one, reviewer) for one in decisions))
    assert ends in (["done", "done"], ["NotDecidableError", "done"])
    assert state_of(version) == "withdrawn"
    assert CatalogueChange.objects.count() == ends.count("done")


@pytest.mark.django_db(transaction=True)
def test_of_two_equal_proposals_at_once_one_is_refused(author: Any, reviewer: Any) -> None:
    version = public()
    acts = [partial(propose_withdrawal, version, **words(by)) for by in (author, reviewer)]
    assert at_once(*acts) == ["NotProposableError", "done"]
    assert Decision.objects.count() == 1


def test_a_rename_keeps_the_former_name_as_an_alias_and_touches_nothing_published(author: Any, reviewer: Any) -> None:
    version = public()
    asset = factories.asset(version.items.get(), "words_v1.0.0.csv")
    before = (version.item_id, asset.storage_key, version.doi)
    decision = propose_rename(version.dataset, NEW_NAME, **words(author))
    assert not Alias.objects.exists()
    second(decision, reviewer)
    renamed = Dataset.objects.get()
    assert (renamed.identifier, renamed.variant, renamed.pk) == (NEW_NAME, "other-words", version.dataset_id)
    assert "other words" in renamed.folded_names
    assert (Alias.objects.get().identifier, Alias.objects.get().dataset) == (IDENTIFIER, renamed)
    fresh = Version.objects.get()
    asset.refresh_from_db()
    assert (fresh.item_id, asset.storage_key, fresh.doi) == before
    noted = renamed.history.latest()
    assert (noted.history_user, noted.history_change_reason) == (reviewer, f"Renamed by decision {decision.pk}")
    assert CatalogueChange.objects.count() == 1


def test_a_legacy_name_becomes_strict_by_a_rename_and_its_parts_are_read(author: Any, reviewer: Any) -> None:
    version = public("1.0.0", factories.dataset("ca_roads"))
    second(propose_rename(version.dataset, NEW_NAME, **words(author)), reviewer)
    renamed = Dataset.objects.get()
    assert (renamed.grade, renamed.source, renamed.dguid) == ("strict", "example", "2021A000011124")
    assert renamed.package.slug == "d4c-datapkg-foundation"


def test_a_name_is_never_used_twice(author: Any, reviewer: Any) -> None:
    first, other = public(), public("1.0.0", dataset(NEW_NAME))
    third = NEW_NAME.replace("other-words", "third-words")
    with pytest.raises(NotProposableError, match="An identifier is never used again"):
        propose_rename(first.dataset, NEW_NAME, **words(author))
    second(propose_rename(other.dataset, third, **words(author)), reviewer)
    with pytest.raises(NotProposableError, match="or named it once"):
        propose_rename(first.dataset, NEW_NAME, **words(author))
    with pytest.raises(NotProposableError, match="An identifier is never used again"):
        propose_rename(Dataset.objects.get(identifier=third), NEW_NAME, **words(author))
    with pytest.raises(IdentifierError):
        propose_rename(first.dataset, "ca_roads", **words(author))


def test_a_name_that_was_taken_meanwhile_undoes_the_whole_decision(author: Any, reviewer: Any, bench: Path) -> None:
    decision = propose_rename(public().dataset, NEW_NAME, **words(author))
    dataset(NEW_NAME)
    before = everything(bench)
    with pytest.raises(NotProposableError, match="An identifier is never used again"):
        second(decision, reviewer)
    assert everything(bench) == before


@pytest.mark.parametrize("state", ["building", "built", "in_review", "approved", "publishing"])
def test_nothing_is_renamed_while_a_release_of_it_is_under_way(author: Any, reviewer: Any, state: str) -> None:
    version = public()
    decision = propose_rename(version.dataset, NEW_NAME, **words(author))
    facts = {"submitter": author, "reviewed_digest": "0" * 64, "approved_at": timezone.now()}
    draft = factories.version(version.dataset, "2.0.0", state="draft")
    factories.release(draft, author=author, state=state, **facts)
    with pytest.raises(NotProposableError, match="it is under way"):
        second(decision, reviewer)
    assert Decision.objects.get().state == "proposed"


def test_a_dataset_that_was_never_public_is_not_renamed(author: Any) -> None:
    with pytest.raises(NotProposableError, match="it was never public"):
        propose_rename(public(state="draft").dataset, NEW_NAME, **words(author))


def published_and_drafted(author: Any, bench: Path) -> Release:
    """Give a draft of a dataset that has a public version too."""
    release = drafted(release_toml(recipe(), number="2.0.0"), author, bench)
    public("1.0.0", release.version.dataset)
    return release


def test_a_former_name_is_not_drafted_and_the_refusal_says_the_new_one(
    author: Any, reviewer: Any, bench: Path
) -> None:
    release = published_and_drafted(author, bench)
    second(propose_rename(release.version.dataset, NEW_NAME, **words(author)), reviewer)
    text = release_toml(release.recipe.commit, number="3.0.0")
    with pytest.raises(NotDraftableError, match=f'this dataset was renamed. Write identifier = "{NEW_NAME}"'):
        drafted(text, author, bench)
    with pytest.raises(DatasetUnknownError, match=f"Its name is {NEW_NAME} now"):
        find_release(IDENTIFIER, "2.0.0")
    assert Dataset.objects.count() == 1


def test_a_draft_of_before_a_rename_is_edited_before_it_is_built(author: Any, reviewer: Any, bench: Path) -> None:
    release = published_and_drafted(author, bench)
    second(propose_rename(release.version.dataset, NEW_NAME, **words(author)), reviewer)
    release = find_release(NEW_NAME, "2.0.0")
    with pytest.raises(NotBuildableError, match="was renamed since this was drafted"):
        request_build(release, by=author, channel="admin", now=timezone.now())
    with pytest.raises(NotDraftableError, match="this dataset was renamed"):
        edit(release, release.definition, author, bench)
    kept = release.sources.get().storage_key
    edit(release, release.definition.replace(IDENTIFIER, NEW_NAME), author, bench)
    assert release.version.item_id == f"{NEW_NAME}_v2.0.0"
    assert release.sources.get().storage_key == kept
    request_build(release, by=author, channel="admin", now=timezone.now())
    assert Release.objects.get(pk=release.pk).state == "building"


def test_a_source_that_was_kept_under_the_former_name_need_not_come_again(
    author: Any, reviewer: Any, bench: Path
) -> None:
    release = published_and_drafted(author, bench)
    second(propose_rename(release.version.dataset, NEW_NAME, **words(author)), reviewer)
    text = release_toml(release.recipe.commit, number="3.0.0").replace(IDENTIFIER, NEW_NAME)
    (bench / "sources" / "words.txt").unlink()
    definition = read_definition(text)
    again = draft_release(definition, by=author, offered={}, storage=own_storage(), now=timezone.now())
    assert again.sources.get().storage_key == release.sources.get().storage_key


def test_an_unknown_decision_is_named(db: None) -> None:
    with pytest.raises(DecisionUnknownError, match="7: no such decision"):
        find_decision(7)


def run(capsys: Any, *arguments: str) -> Any:
    capsys.readouterr()
    call_command("release", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


REASONS = ("--reason-en", ENGLISH, "--reason-fr", FRENCH)


@pytest.mark.parametrize(("act", "state"), [("deprecate", "deprecated"), ("withdraw", "withdrawn")])
@pytest.mark.usefixtures("author", "reviewer")
def test_commands_propose_and_second_under_the_same_rules(capsys: Any, act: str, state: str) -> None:
    version = public()
    for number in ("1.1.0", "1.2.0"):
        release = public(number, version.dataset)
        factories.release(release, author=person(number))
    factories.release(version, author=person("writer"))
    shown = run(capsys, act, IDENTIFIER, "v1.0.0", "--by", "author", "--instead", "v1.2.0", *REASONS)
    assert (shown["kind"], shown["state"], shown["seconder"]) == (act, "proposed", None)
    assert Decision.objects.get().replacement == release
    number = str(shown["decision"])
    with pytest.raises(CommandError, match="A second person has to take it"):
        call_command("release", "second", number, "--by", "author")
    assert run(capsys, "second", number, "--by", "reviewer")["seconder"] == "reviewer"
    assert state_of(version) == state
    assert run(capsys, "decisions") == {"decisions": []}
    assert [one["state"] for one in run(capsys, "decisions", IDENTIFIER, "--all")["decisions"]] == ["taken"]


@pytest.mark.usefixtures("author", "reviewer")
def test_commands_rename_and_refuse(capsys: Any) -> None:
    public()
    shown = run(capsys, "rename", IDENTIFIER, NEW_NAME, "--by", "author", *REASONS)
    number = str(shown["decision"])
    with pytest.raises(CommandError, match="Say in at least 10 characters why"):
        call_command("release", "refuse", number, "--by", "reviewer")
    shown = run(capsys, "refuse", number, "--by", "reviewer", "--reason", "The name is right.")
    assert shown["state"] == "refused"
    call_command("release", "decisions", "--all")
    assert f"rename  {IDENTIFIER}  refused  author  reviewer" in capsys.readouterr().out


@pytest.mark.usefixtures("author", "reviewer")
def test_a_dry_run_of_each_act_writes_nothing(capsys: Any, bench: Path) -> None:
    version = public()
    factories.release(version, author=person("writer"))
    call_command("release", "withdraw", IDENTIFIER, "1.0.0", "--by", "author", *REASONS)
    number, before = str(Decision.objects.get().pk), everything(bench)
    for words_of_act in (
        ("deprecate", IDENTIFIER, "1.0.0", "--by", "author", *REASONS),
        ("rename", IDENTIFIER, NEW_NAME, "--by", "author", *REASONS),
        ("revise", IDENTIFIER, "--title-fr", "Des mots", "--by", "author", *REASONS),
        ("second", number, "--by", "reviewer"),
        ("refuse", number, "--by", "reviewer", "--reason", "The licence is right."),
    ):
        capsys.readouterr()
        call_command("release", *words_of_act, "--dry-run")
        assert capsys.readouterr().out.startswith("Would be: ")
        assert everything(bench) == before, words_of_act[0]
