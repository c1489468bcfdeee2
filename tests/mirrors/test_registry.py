"""The registry of mirrors in the admin: the rules of the command, and who changed which field when."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from mirrors.models import Mirror, Policy
from tests import factories

pytestmark = pytest.mark.django_db

ADD = "/admin/mirrors/mirror/add/"


@pytest.fixture
def typed(tmp_path: Path) -> dict[str, str]:
    return {
        "slug": "storage-01",
        "name": "Storage",
        "kind": "local",
        "operator": "A library",
        "jurisdiction": "CA",
        "tier": "primary",
        "endpoint": str(tmp_path),
        "public_url": "https://mirror.example.org/data/",
        "is_enabled": "on",
        "addressing": "auto",
        "upload_checksum": "sha256",
        "part_mib": "64",
        "settle_s": "30",
    }


def page_of(mirror: Mirror, page: str = "change") -> str:
    return f"/admin/mirrors/mirror/{mirror.pk}/{page}/"


def test_a_mirror_added_by_form_is_as_the_command_makes_it(desk: Client, typed: dict[str, str]) -> None:
    assert desk.post(ADD, typed).status_code == 302
    mirror = Mirror.objects.get()
    assert mirror.public_url == "https://mirror.example.org/data"
    assert mirror.added_at is not None
    mirror.full_clean()


@pytest.mark.parametrize("typed_s", ["", None])
def test_what_is_left_empty_has_its_usual_value(desk: Client, typed: dict[str, str], typed_s: str | None) -> None:
    del typed["settle_s"]
    assert desk.post(ADD, typed if typed_s is None else {**typed, "settle_s": typed_s}).status_code == 302
    assert Mirror.objects.get().settle_s == 30


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("slug", "Storage", "may have only a-z, 0-9 and hyphens"),
        ("slug", "north", "already"),
        ("kind", "s4", "s4 is not one of the available choices"),
        ("endpoint", "/no/such/directory", "is no directory here"),
        ("endpoint", "north", "lie in each other"),
        ("public_url", "https://mirror.example.org/data?key=1", "is no web address"),
        ("operator", "  ", "required"),
        ("jurisdiction", "ca", "is no country code"),
        ("capacity_bytes", "-1", "below nothing"),
        ("daily_read_bytes", "-1", "below nothing"),
    ],
)
def test_the_form_refuses_what_the_command_refuses(
    desk: Client, typed: dict[str, str], tmp_path: Path, *, field: str, value: str, sentence: str
) -> None:
    (tmp_path / "north").mkdir()
    (tmp_path / "own").mkdir()
    factories.mirror("north", endpoint=str(tmp_path / "north"))
    typed["endpoint"] = str(tmp_path / "own")
    typed[field] = str(tmp_path / "north" / "inside") if value == "north" and field == "endpoint" else value
    (tmp_path / "north" / "inside").mkdir()
    page = desk.post(ADD, typed)
    assert page.status_code == 200
    assert sentence in page.content.decode()
    assert Mirror.objects.count() == 1


def test_a_change_keeps_its_own_directory_and_never_its_short_name(
    desk: Client, typed: dict[str, str], tmp_path: Path
) -> None:
    mirror = factories.mirror("north", endpoint=str(tmp_path))
    answer = desk.post(page_of(mirror), typed | {"slug": "other", "kind": "s3", "location": "Halifax"})
    assert answer.status_code == 302, answer.content.decode()
    mirror.refresh_from_db()
    assert (mirror.slug, mirror.kind, mirror.location) == ("north", "local", "Halifax")


def history(desk: Client, mirror: Mirror) -> str:
    page: Any = desk.get(page_of(mirror, "history"))
    return " ".join(page.content.decode().split())


def test_a_mirrors_budget_of_a_day_is_set_here_with_its_history_and_emptied_again(
    desk: Client, typed: dict[str, str], tmp_path: Path
) -> None:
    mirror = factories.mirror("north", endpoint=str(tmp_path))
    for typed_in, kept in (("5000", 5000), ("0", 0), ("", None)):
        assert desk.post(page_of(mirror), typed | {"daily_read_bytes": typed_in}).status_code == 302
        mirror.refresh_from_db()
        assert mirror.daily_read_bytes == kept
    page = history(desk, mirror)
    assert '<del class="meta">5000</del> </p> <p> <ins>0</ins>' in page


def test_fields_of_a_mirror_and_its_policies_have_a_history(
    desk: Client, typed: dict[str, str], tmp_path: Path
) -> None:
    mirror = factories.mirror("north", endpoint=str(tmp_path), location="Gander")
    desk.post(page_of(mirror), typed | {"location": "Halifax"})
    asked = {"mirror": str(mirror.pk), "is_required": "on", "sure": "1"}
    desk.post("/admin/mirrors/policy/add/", asked)
    policy = Policy.objects.get()
    desk.post(f"/admin/mirrors/policy/{policy.pk}/change/", {"sure": "1"})
    desk.post(f"/admin/mirrors/policy/{policy.pk}/delete/", {"sure": "1", "post": "yes"})
    assert not Policy.objects.exists()
    page = history(desk, mirror)
    assert '<del class="meta">Gander</del> </p> <p> <ins>Halifax</ins>' in page
    assert '<del class="meta">True</del> </p> <p> <ins>False</ins>' in page
    assert [page.count(f"</strong> {word}") for word in ("added", "changed", "removed")] == [2, 2, 1]
    assert page.count(f'<span class="ident">{policy}</span>') == 3
    assert page.count("<p> operator <span") == 4, "every save but the first, which no form made"
