"""What is refused on the way from a release.toml to an approval, by whichever door, leaves nothing half-made."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from catalog.errors import StewardshipError
from catalog.models import Dataset, Version
from catalog.storage.connect import own_storage
from releases import draft
from releases.approve import approve_release
from releases.build import request_build
from releases.draft import draft_release
from releases.drafts.definition import read_definition
from releases.edit import edit_release
from releases.errors import (
    DefinitionError,
    NotAllowedError,
    NotApprovableError,
    NotDraftableError,
    NotEditableError,
    NotSubmittableError,
)
from releases.models import Finding, Release
from releases.submit import submit_release
from tests.releases.recipes import (
    GOOD,
    IDENTIFIER,
    LOCK,
    PREAMBLE,
    SOURCE,
    SOURCE_SHA256,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    commit,
    drafted,
    edit,
    everything,
    git,
    in_review,
    offer,
    person,
    release_toml,
    renamed,
    repository_folder,
    reviewer_fixture,  # noqa: F401  a fixture
    strangers,
)

pytestmark = pytest.mark.django_db

SQUARE = {"type": "Polygon", "coordinates": [[[-80, 43], [-79, 43], [-79, 44], [-80, 44], [-80, 43]]]}
BOW_TIE = {"type": "Polygon", "coordinates": [[[-80, 43], [-79, 44], [-79, 43], [-80, 44], [-80, 43]]]}
OUTSIDE = {"type": "Point", "coordinates": [-78.5, 43.5]}
FINE = {"type": "MultiPoint", "coordinates": [[-79.5, 43.5]] * (draft.MAX_FOOTPRINT_POINTS + 1)}


def stocked() -> str:
    """Commit a recipe with right and wrong files beside it; gives the commit's id."""
    footprints = {"square": SQUARE, "bow-tie": BOW_TIE, "outside": OUTSIDE, "fine": FINE, "none": {}, "text": "here"}
    return commit(
        {
            "build.py": PREAMBLE + GOOD,
            "requirements.lock": LOCK,
            "loose.lock": "attrs>=23\n",
            "image.py": b"\xff\xd8\xff",
            "deep.geojson": "[" * 100_000,
            "empty.geojson": '{"type": "GeometryCollection", "geometries": []}',
            **{f"{name}.geojson": json.dumps(value) for name, value in footprints.items()},
        }
    )


def footprint(name: str) -> tuple[str, str]:
    return "bbox = [", f'footprint = "{name}.geojson"\nbbox = ['


ABSENT = "0" * 40
KEPT_SOURCE = f'''name = "words.txt"
url = "https://upstream.example.org/words.txt"
sha256 = "{SOURCE_SHA256}"'''
REFUSED: dict[str, tuple[tuple[str, str], str]] = {
    "repository": (
        ('repository = "words"', 'repository = "absent"'),
        r"'absent': no repository of that name.*Clone it",
    ),
    "commit": (("@commit@", ABSENT), r"words@000000000000: it is not kept here.*Fetch it into words"),
    "entry point": (('"build.py"', '"absent.py"'), r"path 'absent.py' does not exist.*correct release.toml"),
    "binary entry point": (('"build.py"', '"image.py"'), r"image.py is no UTF-8 text. Name another file"),
    "environment": (('"requirements.lock"', '"absent.lock"'), r"path 'absent.lock' does not exist"),
    "loose environment": (('"requirements.lock"', '"loose.lock"'), r"'attrs>=23' is not pinned.*--generate-hashes"),
    "footprint": (footprint("absent"), r"path 'absent.geojson' does not exist"),
    "footprint no GeoJSON": (footprint("none"), r"none.geojson is no GeoJSON geometry. Correct it in the repository"),
    "footprint text": (footprint("text"), r"text.geojson is no GeoJSON geometry"),
    "footprint deep": (footprint("deep"), r"deep.geojson is no GeoJSON geometry"),
    "footprint empty": (footprint("empty"), r"empty.geojson is not valid"),
    "footprint invalid": (
        footprint("bow-tie"),
        r"bow-tie.geojson is not valid \(Self-intersection.*name the new commit",
    ),
    "footprint outside": (footprint("outside"), r"outside.geojson leaves dataset.bbox; its own box is \[-78.5, 43.5"),
    "footprint too fine": (footprint("fine"), r"fine.geojson has more than 20000 points; simplify it"),
    "DOI of DataCite": (
        ('doi_provider = "test"', 'doi_provider = "datacite"'),
        r'DOIs from DataCite cannot be reserved.*Write doi_provider = "test"',
    ),
    "digest": (
        (SOURCE_SHA256, "f" * 64),
        r"its sha256 is .* release.toml says ffff.*Fetch the file again or correct",
    ),
    "size": (
        (f"size_bytes = {len(SOURCE)}", "size_bytes = 15"),
        r"it has 14 bytes, release.toml says 15. Correct size",
    ),
    "no file": (
        (KEPT_SOURCE, KEPT_SOURCE.replace("words", "other").replace(SOURCE_SHA256, "f" * 64)),
        r"other.txt: not kept here.*Put it beside release.toml",
    ),
    "character": (('en = "Words, one', 'en = "Words\\u0000, one'), r"holds the character U\+0000. Remove it"),
    "provider twice": (
        ("[version]", '[[dataset.providers]]\nname = "Example"\nrole = "producer"\n[version]'),
        r"dataset.providers: 'Example' stands 2 times as producer. Name it once",
    ),
    "provider too long": (
        ('name = "Example"', f'name = "{"x" * 161}"'),
        r"dataset.providers\[0\].name: .*is too long",
    ),
    "key too long": (('key = "data"', f'key = "data-1{"0" * 40}"'), r"outputs\[0\].key"),
    "parameter": (("share = 0.5", "share = 1e17"), r"recipe.parameters: not expressible as JSON"),
}
Door = Callable[[str, Any, Path], Any]


def by_use_case(text: str, by: Any, folder: Path) -> Release:
    return drafted(text, by, folder)


def by_command(text: str, by: Any, folder: Path) -> Release:
    offer(folder)
    (folder / "release.toml").write_text(text)
    call_command("release", "draft", "--from", str(folder / "release.toml"), "--by", by.username)
    return Release.objects.get()


doors = pytest.mark.parametrize("door", [by_use_case, by_command])


def text_of(commit_id: str, change: tuple[str, str] = ("", "")) -> str:
    old, new = change
    text = release_toml("@commit@")
    assert old in text
    return text.replace(old, new).replace("@commit@", commit_id)


def approve(release: Release, by: Any) -> None:
    approve_release(release, by=by, channel="command", seen_digest=release.reviewed_digest, now=timezone.now())


@doors
def test_a_draft_keeps_its_text_its_source_and_what_it_describes(bench: Path, author: Any, door: Door) -> None:
    text = text_of(stocked(), footprint("square"))
    release = door(text, author, bench)
    assert (release.state, release.definition, release.author) == ("draft", text, author)
    assert str(release) == f"{IDENTIFIER} v1.0.0"
    assert b"".join(own_storage().read(release.sources.get().storage_key)) == SOURCE
    assert release.recipe.parameters == '{"colour":"red","share":0.5}'
    assert [one.path for one in release.outputs.all()] == ["words.csv"]
    item = release.version.items.get()
    assert (item.west, item.south, item.east, item.north) == (-80, 43, -79, 44)
    assert Version.objects.get().state == Version.State.DRAFT


@doors
@pytest.mark.parametrize("case", REFUSED)
def test_a_draft_that_is_refused_leaves_nothing(bench: Path, author: Any, door: Door, case: str) -> None:
    change, sentence = REFUSED[case]
    text, before = text_of(stocked(), change), everything(bench)
    with pytest.raises((StewardshipError, CommandError), match=f"(?s){sentence}"):
        door(text, author, bench)
    assert everything(bench) == before


@pytest.mark.parametrize("case", [one for one in REFUSED if "DOI" not in one])
def test_an_edit_that_is_refused_changes_nothing(bench: Path, author: Any, case: str) -> None:
    change, sentence = REFUSED[case]
    found = stocked()
    release, before = drafted(text_of(found), author, bench), everything(bench)
    with pytest.raises(StewardshipError, match=f"(?s){sentence}"):
        edit(release, text_of(found, change), author, bench)
    assert everything(bench) == before


@doors
def test_a_version_that_exists_is_not_drafted_again(bench: Path, author: Any, door: Door) -> None:
    text = release_toml(stocked())
    drafted(text, author, bench)
    before = everything(bench)
    with pytest.raises(
        (NotDraftableError, CommandError), match=r"v1\.0\.0: exists already \(Draft\)\. Edit that draft"
    ):
        door(text, author, bench)
    assert everything(bench) == before


@doors
def test_a_dataset_keeps_the_provider_of_its_dois(bench: Path, author: Any, door: Door) -> None:
    drafted(release_toml(stocked()), author, bench)
    Dataset.objects.update(doi_provider="datacite")
    before = everything(bench)
    with pytest.raises(
        (NotDraftableError, CommandError), match="its DOIs come from datacite since the first release"
    ):
        door(release_toml(stocked(), number="1.1.0", source=SOURCE), author, bench)
    assert everything(bench) == before


def test_the_first_version_may_change_its_provider_until_it_has_a_doi(bench: Path, author: Any) -> None:
    text = release_toml(stocked())
    zenodo = text.replace('doi_provider = "test"', 'doi_provider = "zenodo"')
    release = drafted(text, author, bench)
    edit(release, zenodo, author, bench)
    assert Dataset.objects.get().doi_provider == "zenodo"
    Version.objects.give_doi(release.version_id, "10.5281/zenodo.7")
    with pytest.raises(NotDraftableError, match="its DOIs come from zenodo since the first release"):
        edit(release, text, author, bench)
    assert Dataset.objects.get().doi_provider == "zenodo"


def test_a_repository_with_a_submodule_is_refused_at_the_draft(bench: Path, author: Any) -> None:
    commit({"one.py": "pass\n"}, name="inner")
    stocked()
    git(repository_folder(), "submodule", "add", "--quiet", str(repository_folder("inner")), "inner")
    with pytest.raises(StewardshipError, match="inner is a submodule"):
        drafted(release_toml(commit({})), author, bench)
    assert not Release.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_drafts_at_once_one_is_refused_and_nothing_is_doubled(bench: Path, author: Any) -> None:
    definition, offered = read_definition(release_toml(stocked())), offer(bench)
    together, ends = threading.Barrier(2), []

    def attempt() -> None:
        together.wait(30)
        try:
            draft_release(definition, by=author, offered=offered, storage=own_storage(), now=timezone.now())
            ends.append("drafted")
        except StewardshipError:
            ends.append("refused")
        connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ends) == ["drafted", "refused"]
    assert Version.objects.count() == Release.objects.count() == Dataset.objects.count() == 1


def test_a_source_that_is_kept_need_not_come_again_and_names_do_not_collide(bench: Path, author: Any) -> None:
    found = stocked()
    first = drafted(release_toml(found), author, bench)
    again = read_definition(release_toml(found, number="1.1.0"))
    draft_release(again, by=author, offered={}, storage=own_storage(), now=timezone.now())
    other = drafted(release_toml(found, number="1.2.0", source=b"four\n"), author, bench, b"four\n")
    keys = {one.sources.get().storage_key for one in Release.objects.all()}
    assert len(keys) == 2
    assert b"".join(own_storage().read(first.sources.get().storage_key)) == SOURCE
    assert b"".join(own_storage().read(other.sources.get().storage_key)) == b"four\n"


def publish(release: Release) -> None:
    Version.objects.give_doi(release.version_id, "10.5072/test")
    assert Version.objects.publish(release.version_id, at=timezone.now())


def test_a_draft_of_a_public_dataset_leaves_its_public_texts_alone(bench: Path, author: Any) -> None:
    found = stocked()
    publish(drafted(release_toml(found), author, bench))
    release = drafted(renamed(release_toml(found, number="1.1.0")), author, bench)
    edit(release, renamed(release_toml(found, number="1.1.0")).replace("one a line", "two a line"), author, bench)
    dataset = Dataset.objects.get()
    assert (dataset.title_en, dataset.description_en) == ("Words", "Words, one a line.")
    assert [one.name for one in dataset.providers.all()] == ["Example"]


def test_a_dataset_that_is_not_public_yet_is_described_by_its_newest_draft(bench: Path, author: Any) -> None:
    release = drafted(release_toml(stocked()), author, bench)
    edit(release, renamed(release.definition), author, bench)
    dataset = Dataset.objects.get()
    assert (dataset.title_en, [one.name for one in dataset.providers.all()]) == ("Other words", ["Somebody"])


def test_an_edit_replaces_the_parts_and_is_written_down(bench: Path, author: Any, reviewer: Any) -> None:
    release = drafted(release_toml(stocked()), author, bench)
    text = renamed(release_toml(stocked(), source=b"four\n")).replace("words.csv", "other.csv")
    release.findings.create(
        file="words.txt", is_source=True, code="legacy-name", severity=Finding.Severity.NOTE, at=timezone.now()
    )
    edit_release(
        release,
        read_definition(text),
        by=reviewer,
        channel="admin",
        offered=offer(bench, b"four\n"),
        storage=own_storage(),
        now=timezone.now(),
    )
    assert (release.state, release.definition, release.author) == ("draft", text, author)
    assert [one.path for one in release.outputs.all()] == ["other.csv"]
    assert release.sources.get().size_bytes == 5
    noted = release.transitions.get()
    assert (noted.source, noted.to, noted.by, noted.channel) == ("draft", "draft", reviewer, "admin")
    assert not release.findings.exists(), "what was found in files of before says nothing of these"


@pytest.mark.parametrize("provider", ["datacite", "zenodo"])
def test_an_edit_never_changes_the_provider_of_a_doi(bench: Path, author: Any, provider: str) -> None:
    release = drafted(release_toml(stocked()), author, bench)
    Version.objects.give_doi(release.version_id, "10.5072/words")
    before = everything(bench)
    with pytest.raises(NotDraftableError, match="its DOIs come from test since the first release"):
        edit(release, release.definition.replace('"test"', f'"{provider}"'), author, bench)
    assert everything(bench) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [('number = "1.0.0"', 'number = "1.0.1"'), ("_2022_words", "_2023_words"), ("_2022_words", "_2022_other")],
)
def test_an_edit_never_changes_identifier_or_number(bench: Path, author: Any, old: str, new: str) -> None:
    release = drafted(release_toml(stocked()), author, bench)
    before = everything(bench)
    assert old in release.definition
    with pytest.raises(NotEditableError, match="An identifier or a number is never changed; draft that version"):
        edit(release, release.definition.replace(old, new), author, bench)
    assert everything(bench) == before


@pytest.mark.parametrize("state", ["building", "publishing", "published"])
def test_what_is_built_or_published_is_not_edited(bench: Path, author: Any, state: str) -> None:
    release = drafted(release_toml(stocked()), author, bench)
    facts = {"reviewed_digest": "a" * 64, "submitter": author, "approved_at": timezone.now()}
    Release.objects.filter(pk=release.pk).update(state=state, **facts)
    release.refresh_from_db()
    before = everything(bench)
    with pytest.raises(NotEditableError, match=r"can no longer be edited. Wait until|correct it in a new version"):
        edit(release, renamed(release.definition), author, bench)
    assert everything(bench) == before


def test_an_edit_of_what_somebody_moved_meanwhile_is_refused_whole(bench: Path, author: Any) -> None:
    release = drafted(release_toml(stocked()), author, bench)
    request_build(Release.objects.get(pk=release.pk), by=author, channel="command", now=timezone.now())
    before = everything(bench)
    with pytest.raises(NotEditableError, match="somebody moved it just now"):
        edit(release, renamed(release.definition), author, bench)
    assert everything(bench) == before


def test_only_what_is_built_can_be_submitted_and_only_once(bench: Path, author: Any) -> None:
    release = drafted(release_toml(stocked()), author, bench)
    with pytest.raises(NotSubmittableError, match=r"it is draft, not built. Only a release that was built twice"):
        submit_release(release, by=author, channel="command", now=timezone.now())
    built(release, author)
    stale = Release.objects.get(pk=release.pk)
    submit_release(release, by=author, channel="command", now=timezone.now())
    before = everything(bench)
    for one, sentence in ((release, "it is in review, not built"), (stale, "somebody moved it just now")):
        with pytest.raises(NotSubmittableError, match=sentence):
            submit_release(one, by=author, channel="command", now=timezone.now())
    assert everything(bench) == before


def test_only_what_is_in_review_can_be_approved(bench: Path, author: Any, reviewer: Any) -> None:
    release = drafted(release_toml(stocked()), author, bench)
    for state in ("draft", "built twice"):
        before = everything(bench)
        with pytest.raises(NotApprovableError, match=f"it is {state}, not in review. Submit it for review first"):
            approve(release, reviewer)
        assert everything(bench) == before
        if state == "draft":
            built(release, author)


def test_whoever_wrote_a_part_of_it_does_not_approve_it(bench: Path, author: Any, reviewer: Any) -> None:
    editor, builder = person("editor", "curator"), person("builder", "curator")
    release = drafted(release_toml(stocked()), author, bench)
    edit(release, renamed(release.definition), editor, bench)
    built(release, builder)
    submit_release(release, by=author, channel="command", now=timezone.now())
    for writer in (author, editor, builder):
        with pytest.raises(NotApprovableError, match=r"wrote, built or submitted it. A second person has to approve"):
            approve(release, writer)
    assert not release.approvals.exists()
    approve(release, reviewer)
    assert release.state == Release.State.PUBLISHING


def attempts(release: Release, by: Any, bench: Path) -> dict[str, Callable[[], Any]]:
    words: dict[str, Any] = {"by": by, "channel": "admin", "now": timezone.now()}
    return {
        "draft": lambda: drafted(release_toml(release.recipe.commit, number="2.0.0"), by, bench),
        "edit": lambda: edit(release, renamed(release.definition), by, bench),
        "build": lambda: request_build(release, **words),
        "submit": lambda: submit_release(release, **words),
        "approve": lambda: approve_release(release, seen_digest=release.reviewed_digest, **words),
    }


@pytest.mark.parametrize("act", ["draft", "edit", "build", "submit", "approve"])
def test_who_lacks_the_permission_changes_nothing(bench: Path, author: Any, act: str) -> None:
    release, permission = in_review(author, bench), "draft" if act == "edit" else act
    for name, by in strangers().items():
        before = everything(bench)
        with pytest.raises(NotAllowedError, match=f"may not {permission} a release. Ask an administrator") as refusal:
            attempts(release, by, bench)[act]()
        assert refusal.value.facts == {"person": str(by), "act": permission}, name
        assert everything(bench) == before


def test_what_the_definition_itself_refuses_never_reaches_a_use_case() -> None:
    with pytest.raises(DefinitionError, match="nothing was kept"):
        read_definition(release_toml("main"))
