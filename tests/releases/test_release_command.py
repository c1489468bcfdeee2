"""`manage.py release` keeps the rules of the use cases, rehearses without a trace, and ends with an honest code."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, execute_from_command_line
from django.db import connection
from django.utils import timezone

from catalog.models import Version
from releases.errors import ReleaseUnknownError
from releases.find import find_release
from releases.jobs import engine
from releases.models import Job, Release
from releases.submit import submit_release
from tests.releases.processes import eventually
from tests.releases.recipes import (
    IDENTIFIER,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    drafted,
    everything,
    in_review,
    offer,
    recipe,
    release_toml,
    reviewer_fixture,  # noqa: F401  a fixture
    strangers,
)

pytestmark = pytest.mark.django_db

ABSENT = "0" * 40


def words_of(act: str, by: str, bench: Path) -> list[str]:
    """Give the words of `manage.py release` for an act, with the release.toml that `bench` holds."""
    if act in {"draft", "edit"}:
        return [act, "--from", str(bench / "release.toml"), "--by", by]
    return [act, IDENTIFIER, "v1.0.0", "--by", by]


@pytest.mark.parametrize("act", ["draft", "edit", "build", "submit", "approve"])
def test_the_command_asks_for_the_same_permissions(bench: Path, author: Any, act: str) -> None:
    release = in_review(author, bench)
    number = "2.0.0" if act == "draft" else "1.0.0"
    (bench / "release.toml").write_text(release_toml(release.recipe.commit, number=number))
    strangers()
    before = everything(bench)
    for name, sentence in (
        ("stranger", "may not"),
        ("auditor", "may not"),
        ("inactive", "no active user of that name. Make one with createsuperuser"),
        ("nobody", "no active user of that name"),
    ):
        with pytest.raises(CommandError, match=sentence):
            call_command("release", *words_of(act, name, bench))
    assert everything(bench) == before


def ready_for(act: str, author: Any, bench: Path) -> Release:
    """Take a release as far as the act can begin, and lay out what the act would bring in."""
    release = drafted(release_toml(recipe()), author, bench)
    if act in {"submit", "approve"}:
        built(release, author)
    if act == "approve":
        submit_release(release, by=author, channel="command", now=timezone.now())
    text = release_toml(recipe(), number="2.0.0" if act == "draft" else "1.0.0", source=b"four\n")
    (bench / "release.toml").write_text(text)
    offer(bench, b"four\n")
    return release


@pytest.mark.usefixtures("reviewer")
@pytest.mark.parametrize("act", ["draft", "edit", "build", "submit", "approve"])
def test_a_dry_run_says_what_would_be_and_writes_nothing(bench: Path, author: Any, capsys: Any, act: str) -> None:
    ready_for(act, author, bench)
    before, by = everything(bench), "reviewer" if act == "approve" else "author"
    call_command("release", *words_of(act, by, bench), "--dry-run")
    assert capsys.readouterr().out.startswith(f"Would be: {IDENTIFIER} v")
    assert everything(bench) == before
    call_command("release", *words_of(act, by, bench))
    assert everything(bench) != before


def test_a_dry_run_refuses_what_the_act_would_refuse(bench: Path, author: Any) -> None:
    drafted(release_toml(recipe()), author, bench)
    (bench / "release.toml").write_text(release_toml(ABSENT))
    for act in ("draft", "edit"):
        with pytest.raises(CommandError, match=r"exists already|it is not kept here"):
            call_command("release", *words_of(act, "author", bench), "--dry-run")
    with pytest.raises(CommandError, match="not built"):
        call_command("release", *words_of("submit", "author", bench), "--dry-run")


def test_an_export_gives_back_the_very_text(bench: Path, author: Any, capsys: Any) -> None:
    text = "# Übung, à la main.\n" + release_toml(recipe()) + "\n\n# end without newline"
    drafted(text, author, bench)
    capsys.readouterr()
    call_command("release", "export", IDENTIFIER, "1.0.0")
    assert capsys.readouterr().out == text
    call_command("release", "export", IDENTIFIER, "v1.0.0", "--json")
    assert json.loads(capsys.readouterr().out) == {"definition": text}


def test_what_was_exported_can_be_edited_in_again_unchanged(bench: Path, author: Any, capsys: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    call_command("release", "export", IDENTIFIER, "1.0.0")
    (bench / "release.toml").write_text(capsys.readouterr().out)
    call_command("release", *words_of("edit", "author", bench))
    before = release.definition
    release.refresh_from_db()
    assert release.definition == before


def test_a_release_that_is_not_there_is_named_with_where_to_look(bench: Path, author: Any) -> None:
    for act in ("build", "submit", "approve"):
        with pytest.raises(CommandError, match=r"v1\.0\.0: no such release. Look at `manage.py release status`"):
            call_command("release", *words_of(act, "author", bench))
    with pytest.raises(ReleaseUnknownError, match="no such release"):
        find_release(IDENTIFIER, "1.0.0")
    with pytest.raises(CommandError, match="Write three numbers"):
        call_command("release", "export", IDENTIFIER, "latest")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"[dataset"])
def test_a_file_that_cannot_be_read_is_named(bench: Path, author: Any, content: bytes | None) -> None:
    if content is not None:
        (bench / "release.toml").write_bytes(content)
    with pytest.raises(CommandError, match=r"release\.toml: (cannot be read|not valid TOML)"):
        call_command("release", *words_of("draft", "author", bench))
    assert not Version.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_refusal_ends_the_process_with_a_code_and_the_sentence(bench: Path, author: Any, capsys: Any) -> None:
    drafted(release_toml(recipe()), author, bench)
    with pytest.raises(SystemExit) as end:
        execute_from_command_line(["manage.py", "release", *words_of("submit", "author", bench)])
    assert end.value.code == 1
    shown = capsys.readouterr()
    assert "it is draft, not built. Only a release that was built twice can go to review." in shown.err
    assert shown.out == ""


def test_waiting_for_an_approval_that_starts_nothing_yet_ends_at_once(
    bench: Path, author: Any, reviewer: Any, settings: Any, capsys: Any
) -> None:
    settings.DFC_APPROVERS = 2
    release = in_review(author, bench)
    call_command("release", *words_of("approve", "reviewer", bench), "--wait")
    release.refresh_from_db()
    assert (release.state, release.approvals.count()) == ("in_review", 1)
    assert "in_review" in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)
def test_waiting_for_a_build_follows_it_to_its_end(bench: Path, author: Any, capsys: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    with working(release):
        call_command("release", *words_of("build", "author", bench), "--wait", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert (shown["state"], shown["job"]) == ("built", f"build:{IDENTIFIER}:1.0.0:r1")


@pytest.mark.django_db(transaction=True)
def test_a_build_that_fails_while_it_is_waited_for_ends_with_its_finding(bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe("raise SystemExit(3)")), author, bench)
    with working(release), pytest.raises(CommandError, match="The recipe ended with exit code 3; its log says why"):
        call_command("release", *words_of("build", "author", bench), "--wait", "--json")
    release.refresh_from_db()
    assert release.state == Release.State.DRAFT


@contextmanager
def working(release: Release) -> Iterator[None]:
    """Let a thread be the worker meanwhile."""
    worker = threading.Thread(target=work_off, args=(release.pk,))
    worker.start()
    try:
        yield
    finally:
        worker.join(60)


def work_off(release_id: int) -> None:
    """Be the worker: run the job of a release as soon as there is one."""
    eventually(Job.objects.filter(subject=release_id).exists)
    engine.drain(60)
    connection.close()
