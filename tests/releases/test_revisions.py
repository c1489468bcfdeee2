"""Texts are revised by number: a second person takes a revision, and neither bytes nor versions change."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from catalog.models import CatalogueChange, Dataset, Version
from catalog.search import search
from releases.commit import make_public
from releases.errors import DefinitionError, NotAllowedError, NotDecidableError, NotProposableError
from releases.models import Decision, MetadataRevision, Release
from releases.propose import propose_revision
from releases.revisions import brought_back
from tests import factories
from tests.releases.recipes import (
    IDENTIFIER,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    drafted,
    recipe,
    release_toml,
    reviewer_fixture,  # noqa: F401  a fixture
    strangers,
)
from tests.releases.second_thoughts import ENGLISH, FRENCH, at_once, public, second, words

pytestmark = pytest.mark.django_db

TYPO = {"title_fr": "Les mots"}


def published(author: Any, bench: Path, number: str = "1.0.0", change: tuple[str, str] = ("", "")) -> Release:
    """Draft a release and make it public by the step that does; it has no files."""
    release = drafted(release_toml(recipe(), number=number).replace(*change), author, bench)
    Version.objects.give_doi(release.version_id, f"10.5072/{number}")
    facts = {"submitter": author, "reviewed_digest": "0" * 64, "approved_at": timezone.now()}
    Release.objects.filter(pk=release.pk).update(state="publishing", **facts)
    make_public(factories.step("releases.commit.make_public", release.pk), release.pk)
    return Release.objects.select_related("version__dataset").get(pk=release.pk)


def numbers() -> list[int | None]:
    return list(MetadataRevision.objects.order_by("pk").values_list("number", flat=True))


def test_publishing_numbers_texts_only_when_they_are_others(author: Any, bench: Path) -> None:
    published(author, bench)
    published(author, bench, "1.1.0")
    assert numbers() == [1]
    last = published(author, bench, "1.2.0", ('fr = "Mots"', 'fr = "Les mots"'))
    newest = MetadataRevision.objects.newest_of(last.version.dataset)
    assert newest is not None
    assert (newest.number, newest.release, newest.title_fr, newest.title_en) == (2, last, "Les mots", "Words")


def test_a_revision_changes_the_public_texts_when_a_second_person_takes_it(
    author: Any, reviewer: Any, bench: Path
) -> None:
    dataset = published(author, bench).version.dataset
    versions = list(Version.objects.values())
    decision = propose_revision(dataset, TYPO, **words(author))
    assert Dataset.objects.get().title_fr == "Mots"
    assert numbers() == [1, None]
    second(decision, reviewer)
    revised = Dataset.objects.get()
    assert (revised.title_fr, revised.title_en) == ("Les mots", "Words")
    assert numbers() == [1, 2]
    assert list(Version.objects.values()) == versions
    assert CatalogueChange.objects.count() == 2
    noted = revised.history.latest()
    assert (noted.history_user, noted.title_fr) == (reviewer, "Les mots")


def test_what_is_revised_is_found_by_its_new_words(author: Any, reviewer: Any, bench: Path) -> None:
    dataset = published(author, bench).version.dataset
    assert not search("vocabulaire").exists()
    second(propose_revision(dataset, {"title_fr": "Vocabulaire"}, **words(author)), reviewer)
    assert search("vocabulaire").get() == dataset


def test_keywords_are_one_a_line_and_blanks_say_nothing(author: Any, reviewer: Any, bench: Path) -> None:
    dataset = published(author, bench).version.dataset
    texts = {"keywords_en": " words \r\n\r\n lines", "keywords_fr": "mots\nlignes\n", "title_fr": "  Mots "}
    second(propose_revision(dataset, texts, **words(author)), reviewer)
    revised = Dataset.objects.get()
    assert (revised.keywords_en, revised.keywords_fr, revised.title_fr) == ("words\nlines", "mots\nlignes", "Mots")


@pytest.mark.parametrize(
    ("texts", "finding"),
    [
        ({"title_fr": "   "}, "title.fr"),
        ({"title_en": "x" * 161}, "title.en"),
        ({"description_fr": ""}, "description.fr"),
        ({"attribution_en": "x" * 401}, "attribution.en"),
        ({"keywords_en": "x" * 81}, r"keywords.en\[0\]"),
        ({"title_en": "a\0b"}, r"U\+0000"),
    ],
)
def test_texts_may_say_what_a_release_toml_may_say(
    author: Any, bench: Path, texts: dict[str, str], finding: str
) -> None:
    dataset = published(author, bench).version.dataset
    with pytest.raises(DefinitionError, match=finding):
        propose_revision(dataset, texts, **words(author))
    assert not Decision.objects.exists()


def test_a_revision_needs_a_difference_and_a_public_dataset(author: Any, bench: Path) -> None:
    dataset = published(author, bench).version.dataset
    with pytest.raises(NotProposableError, match="no text is different"):
        propose_revision(dataset, {"title_fr": "Mots"}, **words(author))
    Version.objects.update(state="draft")
    with pytest.raises(NotProposableError, match="it was never public"):
        propose_revision(dataset, TYPO, **words(author))


def test_only_who_may_proposes_or_seconds(author: Any, bench: Path) -> None:
    dataset, others = published(author, bench).version.dataset, strangers()
    decision = propose_revision(dataset, TYPO, **words(author))
    for one in others.values():
        with pytest.raises(NotAllowedError):
            propose_revision(dataset, TYPO, **words(one))
        with pytest.raises(NotAllowedError):
            second(decision, one)
    with pytest.raises(NotDecidableError, match="A second person has to take it"):
        second(decision, author)
    assert Dataset.objects.get().title_fr == "Mots"


def test_a_revision_of_texts_that_changed_meanwhile_is_not_taken(author: Any, reviewer: Any, bench: Path) -> None:
    dataset = published(author, bench).version.dataset
    decision = propose_revision(dataset, TYPO, **words(author))
    published(author, bench, "1.1.0", ('en = "Words"', 'en = "Other words"'))
    with pytest.raises(NotDecidableError, match="its texts were revised since this was written"):
        second(decision, reviewer)
    decision.refresh_from_db()
    assert decision.state == "proposed"
    assert (Dataset.objects.get().title_en, Dataset.objects.get().title_fr) == ("Other words", "Mots")


@pytest.mark.django_db(transaction=True)
def test_of_two_seconds_at_once_one_gives_the_number(author: Any, reviewer: Any, bench: Path) -> None:
    dataset = published(author, bench).version.dataset
    decision = propose_revision(dataset, TYPO, **words(author))
    acts = [partial(second, Decision.objects.get(pk=decision.pk), reviewer) for _ in range(2)]
    assert at_once(*acts) == ["NotDecidableError", "done"]
    assert numbers() == [1, 2]


def test_a_draft_that_would_bring_the_old_texts_back_says_so(author: Any, reviewer: Any, bench: Path) -> None:
    dataset = published(author, bench).version.dataset
    draft = drafted(release_toml(recipe(), number="2.0.0"), author, bench)
    assert brought_back(draft) == []
    second(propose_revision(dataset, TYPO, **words(author)), reviewer)
    assert brought_back(Release.objects.get(pk=draft.pk)) == ["Title"]


def test_each_edit_of_a_draft_leaves_a_history_of_fields(author: Any, bench: Path) -> None:
    drafted(release_toml(recipe()), author, bench)
    drafted(release_toml(recipe(), number="1.1.0").replace('fr = "Mots"', 'fr = "Les mots"'), author, bench)
    dataset = Dataset.objects.get()
    noted = [(one.history_user, one.history_change_reason, one.title_fr) for one in dataset.history.all()]
    assert noted == [(author, "Drafted v1.1.0", "Les mots"), (author, "Drafted v1.0.0", "Mots")]
    author.is_staff = True
    author.save()
    client = Client()
    client.force_login(author)
    page = client.get(f"/admin/catalog/dataset/{dataset.pk}/history/").content.decode()
    for word in ("Drafted v1.1.0", "author", '<del class="meta">Mots</del>', "<ins>Les mots</ins>"):
        assert word in page
    assert "folded" not in page


def test_texts_that_were_public_before_there_were_numbers_are_number_one(author: Any, bench: Path) -> None:
    published(author, bench)
    last = published(author, bench, "1.1.0")
    MetadataRevision.objects.all().delete()
    import_module("releases.migrations.0003_decisions_and_revisions").number_first(apps, None)
    kept = MetadataRevision.objects.get()
    assert (kept.number, kept.release, kept.title_fr) == (1, last, "Mots")
    assert kept.public_at == last.version.published_at


@pytest.mark.usefixtures("reviewer")
def test_the_command_takes_a_file_or_flags(author: Any, bench: Path, capsys: Any) -> None:
    published(author, bench)
    (bench / "revision.toml").write_text(
        f'title = {{ en = "Words", fr = "Les mots" }}\nkeywords = {{ en = ["words"], fr = ["mots"] }}\n'
        f'[reason]\nen = "{ENGLISH}"\nfr = "{FRENCH}"\n'
    )
    given = ("revise", IDENTIFIER, "--by", "author")
    call_command("release", *given, "--from", str(bench / "revision.toml"), "--attribution-en", "Made of words.")
    decision = Decision.objects.get()
    assert (decision.reason_fr, decision.channel) == (FRENCH, "command")
    call_command("release", "second", str(decision.pk), "--by", "reviewer")
    revised = Dataset.objects.get()
    assert (revised.title_fr, revised.keywords_fr) == ("Les mots", "mots")
    assert (revised.attribution_en, revised.attribution_fr) == ("Made of words.", "Fait avec des mots.")
    assert "taken" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        ("title = [", "cannot be read"),
        ('title = { en = "Words" }', "title: 'fr' is a required property"),
        ("title = 3", "title: 3 is not of type 'object'"),
        ('licence = "CC0-1.0"', "'licence' was unexpected"),
        ('title = { en = "Words", fr = "Les mots" }', "Reason in English: Say in at least"),
    ],
)
def test_a_file_that_is_wrong_is_named(author: Any, bench: Path, content: str, finding: str) -> None:
    factories.release(public(), author=author)
    (bench / "revision.toml").write_text(content)
    with pytest.raises(CommandError, match=finding):
        call_command("release", "revise", IDENTIFIER, "--by", "author", "--from", str(bench / "revision.toml"))
    assert not Decision.objects.exists()
