"""The demonstration is prepared once, keeps its secrets to itself, and goes on after a kill at any line."""

import json
import stat
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from dfc_site import demo, examples
from mirrors.models import Mirror, Policy
from releases.drafts.definition import read_definition

pytestmark = pytest.mark.django_db


def test_preparing_twice_changes_nothing(installation: dict[str, str]) -> None:
    assert set(installation) == {"author", "reviewer", "admin"}
    before = list(Mirror.objects.values()), Policy.objects.count(), get_user_model().objects.count()
    assert demo.prepare() == {}
    assert (list(Mirror.objects.values()), Policy.objects.count(), get_user_model().objects.count()) == before


def test_passwords_are_random_and_only_ours_to_read(installation: dict[str, str], own_folders: Path) -> None:
    path = own_folders / demo.PASSWORDS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text(encoding="utf-8")) == installation
    assert len(set(installation.values())) == 3
    assert all(len(password) >= 16 for password in installation.values())


def test_a_person_whose_making_was_killed_gets_the_kept_password(
    installation: dict[str, str], own_folders: Path
) -> None:
    get_user_model().objects.get(username="reviewer").delete()
    assert demo.prepare() == {"reviewer": installation["reviewer"]}
    assert demo.person("reviewer").check_password(installation["reviewer"])


def test_passwords_are_shown_once(own_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo", "--prepare")
    shown = capsys.readouterr().out
    for name, password in json.loads((own_folders / demo.PASSWORDS).read_text(encoding="utf-8")).items():
        assert f"{name} / {password}" in shown
    call_command("demo", "--prepare")
    assert capsys.readouterr().out == ""


def test_a_curator_has_no_permission_on_the_queue(installation: dict[str, str]) -> None:
    author = demo.person("author")
    assert author.has_perm("releases.draft_release")
    assert not [name for name in author.get_all_permissions() if name.startswith(("django_q", "auth", "admin"))]


@pytest.mark.parametrize("folder", [demo.PROVINCES, demo.TILES])
def test_an_example_becomes_the_same_commit_everywhere(folder: str, tmp_path: Path, settings: object) -> None:
    source = Path("examples") / folder
    commit = examples.ensure_repository(source, tmp_path)
    assert examples.ensure_repository(source, tmp_path) == commit
    for path in source.glob("release*.toml"):
        assert read_definition(path.read_text(encoding="utf-8")).recipe.commit == commit
