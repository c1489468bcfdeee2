"""What the admin refuses, it refuses in the language of the person who asked."""

import html
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils.translation import override

from catalog import naming
from catalog.errors import StewardshipError
from catalog.paths import PathError, check_path
from catalog.say import say
from catalog.versions import VersionNumberError
from catalog.versions import parse as parse_version
from releases.models import Job, Release
from tests.releases.recipes import (
    IDENTIFIER,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    drafted,
    in_review,
    recipe,
    release_toml,
    reviewer_fixture,  # noqa: F401  a fixture
)
from tests.releases.second_thoughts import dataset, public

pytestmark = pytest.mark.django_db

TOO_EARLY = {
    "submit": (
        "it is draft, not built. Only a release that was built twice can go to review.",
        "son état est « brouillon ». Seule une version construite deux fois peut aller en révision.",
    ),
    "approve": (
        "it is draft, not in review. Submit it for review first.",
        "son état est « brouillon », non « en révision ». Soumettez-la d’abord à la révision.",
    ),
}
WRONG: list[tuple[tuple[str, str], str, str]] = [
    (("_words", "_words or more"), "It has a space or a line break", "Il a une espace ou un saut de ligne"),
    (('"1.0.0"', '"latest"'), "`latest` is an address that moves", "`latest` est une adresse qui change"),
    (('"words.csv"', '"../words.csv"'), "it has the segment `..`", "il a le segment `..`"),
    ((', fr = "Mots"', ""), "dataset.title: 'fr' is a required property", "dataset.title : 'fr' est requis"),
    (("[-80.0, 43.0", "[-80.0, 45.0"), "is no box in degrees", "n’est pas un cadre en degrés"),
    (("[dataset]", "[dataset"), "not valid TOML", "TOML non valide"),
    (('= "words"', '= "absent"'), "no repository of that name is kept", "aucun dépôt git de ce nom n’est gardé"),
    (("CC0-1.0", "CC0-1.0"), "no file of that name came along", "aucun fichier de ce nom n’est venu"),
]


def signed_in(person: Any, language: str) -> Client:
    get_user_model().objects.filter(pk=person.pk).update(is_staff=True)
    client = Client()
    client.force_login(person)
    client.cookies["django_language"] = language
    return client


def words_of(answer: Any) -> str:
    return html.unescape(answer.content.decode()).replace("\u00a0", " ")


@pytest.mark.parametrize("act", TOO_EARLY)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_act_that_comes_too_early(bench: Path, author: Any, act: str, language: str) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    address = f"/admin/releases/release/{release.pk}/act/"
    answer = signed_in(author, language).post(address, {"act": act}, follow=True)
    english, french = TOO_EARLY[act]
    assert (english in words_of(answer)) == (language == "en")
    assert (french in words_of(answer)) == (language == "fr")


@pytest.mark.usefixtures("bench")
@pytest.mark.parametrize(("change", "english", "french"), WRONG, ids=[row[1] for row in WRONG])
def test_a_wrong_release_toml(author: Any, change: tuple[str, str], english: str, french: str) -> None:
    text = release_toml(recipe()).replace(*change)
    for language, expected, other in (("en", english, french), ("fr", french, english)):
        answer = signed_in(author, language).post("/admin/releases/release/add/", {"definition": text})
        assert answer.status_code == 422
        assert expected in words_of(answer)
        assert other not in words_of(answer)
    assert not Release.objects.exists()


def test_the_second_person(bench: Path, author: Any) -> None:
    release = in_review(author, bench)
    words = {"act": "approve", "seen_digest": release.reviewed_digest}
    answer = signed_in(author, "fr").post(f"/admin/releases/release/{release.pk}/act/", words, follow=True)
    assert "author l’a rédigée, construite ou soumise. Une seconde personne" in words_of(answer)


def test_a_step_that_nobody_may_skip_without_a_reason(start: Any, bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    step = start("stuck", [[True]]).steps.get()
    Job.objects.update(pipeline="build", subject=release.pk)
    words = {"act": "skip", "step": step.pk, "reason": "so"}
    answer = signed_in(author, "fr").post(f"/admin/releases/release/{release.pk}/steer/", words, follow=True)
    assert " : dites en au moins 10 caractères pourquoi elle est sautée." in words_of(answer)


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "The variant `Words` has upper-case letters"), ("fr", "Écrivez plutôt")],
)
def test_a_new_name_that_breaks_the_convention(author: Any, language: str, expected: str) -> None:
    version = public(of=dataset())
    address = f"/admin/releases/decision/propose/?kind=rename&dataset={version.dataset.pk}"
    reasons = {"reason_en": "The source was wrong.", "reason_fr": "La source était fausse."}
    words = {"new_identifier": IDENTIFIER.replace("words", "Words"), **reasons}
    said = words_of(signed_in(author, language).post(address, words))
    assert expected in said
    assert "Finding(" not in said


@pytest.mark.parametrize(
    ("attempt", "french"),
    [
        (lambda: naming.parse("ca_x-2021A000112_d4c-datapkg-foundation_2022"), "ne convient pas au schéma 0001"),
        (lambda: naming.parse(IDENTIFIER.replace("ca_", "xx_")), "ISO 3166 n’a pas de région `xx`"),
        (lambda: naming.parse_dguid("abc"), "IDUGD 'abc' : 'abc' n’est pas un IDUGD"),
        (lambda: check_path("/etc"), "Chemin '/etc' : il est absolu"),
        (lambda: parse_version("1.0"), "Version '1.0' : ce n’est pas un numéro SemVer"),
    ],
)
def test_pure_modules_say_their_findings_in_both_languages(attempt: Any, french: str) -> None:
    with pytest.raises((naming.IdentifierError, PathError, VersionNumberError)) as refusal:
        attempt()
    error: StewardshipError = refusal.value
    with override("en"):
        assert say(error) == str(error)
    with override("fr"):
        assert french in say(error).replace("\u00a0", " ")
