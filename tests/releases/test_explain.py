"""When two builds differ, the author finds the known cause, the switch that fixes it, and a readable report."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from releases.models import Difference, Release
from tests.releases.recipes import (
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    drafted,
    recipe,
    release_toml,
)

pytestmark = pytest.mark.django_db
ZIPPED = """
import zipfile
entry = zipfile.ZipInfo("words.txt", time.gmtime(1767323045 + 60 * ("-2/" in str(given.out)))[:6])
with zipfile.ZipFile(target, "w") as archive:
    archive.writestr(entry, words)
"""
needs_diffoscope = pytest.mark.skipif(shutil.which("diffoscope") is None, reason="diffoscope is not installed")


def differing(bench: Path, author: Any, body: str = ZIPPED) -> Release:
    release = built(drafted(release_toml(recipe(body)), author, bench), author)
    assert release.state == Release.State.DRAFT
    return release


@needs_diffoscope
def test_a_difference_has_its_cause_its_remedy_and_a_report_without_folders_of_ours(bench: Path, author: Any) -> None:
    differing(bench, author)
    found = Difference.objects.get()
    assert [one.cause for one in found.causes.all()] == ["zip-times"]
    assert "SOURCE_DATE_EPOCH" in found.causes.get().remedy
    assert "zipinfo" in found.report
    assert "review-1-1/out/words.csv" in found.report
    assert str(bench) not in found.report
    assert not found.without_report
    assert not list((bench / "builds").rglob("explain-*"))


def test_without_diffoscope_the_cause_is_found_all_the_same_and_the_page_says_what_is_missing(
    bench: Path, author: Any, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    (bench / "bin").mkdir()
    for name in ("git", "prlimit", "setpriv"):
        (bench / "bin" / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(bench / "bin"))
    release = differing(bench, author)
    found = Difference.objects.get()
    assert (found.report, [one.cause for one in found.causes.all()]) == ("", ["zip-times"])
    author.is_staff = True
    author.save()
    client.force_login(author)
    page = client.get(reverse("admin:releases_release_change", args=[release.pk]), follow=True).content.decode()
    assert "Install diffoscope-minimal" in page
    assert "ZipInfo.date_time" in page
    assert f"differs from byte {found.offset} on." in page


@needs_diffoscope
def test_a_report_is_bounded_and_only_the_first_files_are_explained(bench: Path, author: Any) -> None:
    body = "target.write_text('\\n'.join(os.urandom(40).hex() for _ in range(20000)))"
    differing(bench, author, body)
    found = Difference.objects.get()
    assert 0 < len(found.report.encode()) <= 80_000
    assert [one.cause for one in found.causes.all()] == ["unknown"]


def test_equal_builds_have_no_differences(bench: Path, author: Any) -> None:
    assert built(drafted(release_toml(recipe()), author, bench), author).state == Release.State.BUILT
    assert not Difference.objects.exists()
