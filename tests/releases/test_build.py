"""A release is built twice from what was locked; a build that fails gives the draft back with its finding."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from catalog.models import Asset
from catalog.storage.connect import own_storage
from releases import build
from releases.build import request_build
from releases.builds import environments, execute
from releases.drafts.definition import read_definition
from releases.edit import edit_release
from releases.errors import NotBuildableError, RepositoryError
from releases.jobs import engine, steering
from releases.models import Build, BuildOutput, Job, Manifest, Release, Step
from tests import factories
from tests.releases.processes import alive, eventually
from tests.releases.recipes import (
    GOOD,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    commit,
    drafted,
    offer,
    recipe,
    release_toml,
    repository_folder,
)

pytestmark = pytest.mark.django_db

FAILING = {
    "exit code": ("print('why'); sys.exit(3)", r"The recipe ended with exit code 3; its log says why\."),
    "exception": ("raise ValueError('why')", r"exit code 1; its log says why\."),
    "signal": (
        "print('why', flush=True); os.kill(os.getpid(), signal.SIGKILL)",
        r"ended by signal 9; look at its log",
    ),
    "missing": ("print('why')", r"did not make words\.csv\. Correct the recipe or the declared outputs\."),
    "extra": (GOOD + "(given.out / 'more.csv').write_text('x')", r"also made more\.csv, which nobody declared\."),
    "link": ("target.symlink_to(given.sources / 'words.txt')", r"left words\.csv, which is no plain file\."),
    "pipe": ("os.mkfifo(target)", r"left words\.csv, which is no plain file\."),
    "link to a folder": (GOOD + "(given.out / 'up').symlink_to('..')", r"left up, which is no plain file\."),
    "folder": ("target.mkdir(); (target / 'a').touch()", r"did not make words\.csv\."),
    "other bytes": (
        "target.write_bytes(b'same' * 300000 + os.urandom(8))",
        r"1 of 1 files differ: words\.csv; words\.csv from byte 120000[0-7] on\. Look for times",
    ),
    "other length": (
        "target.write_bytes(bytes(int.from_bytes(os.urandom(4), 'big') % 1000000))",
        r"words\.csv from byte \d+ on\.",
    ),
}


def edit(release: Release, by: Any, commit_id: str, bench: Path) -> None:
    edit_release(
        release,
        read_definition(release_toml(commit_id)),
        by=by,
        channel="command",
        offered=offer(bench),
        storage=own_storage(),
        now=timezone.now(),
    )


def moves(release: Release) -> list[tuple[str, str]]:
    return [(one.source, one.to) for one in release.transitions.all()]


def test_a_good_recipe_is_built_twice_with_the_same_bytes(bench: Path, author: Any) -> None:
    release = built(drafted(release_toml(recipe()), author, bench), author)
    assert release.state == Release.State.BUILT
    one, two = release.builds.order_by("number")
    assert [(one.state, one.verdict), (two.state, two.verdict)] == [
        ("succeeded", "first"),
        ("succeeded", "identical"),
    ]
    assert one.manifest == two.manifest
    assert one.outputs.get().sha256 == two.outputs.get().sha256
    assert build.output_path(one, "words.csv").read_bytes() == b"ONE\nTWO\nTHREE\n"
    assert one.isolation
    assert one.environment_sha256 == json.loads(one.manifest.body)["resolvedDependencies"][1]["digest"]["sha256"]


@pytest.mark.parametrize("case", FAILING)
def test_a_build_that_fails_gives_the_draft_back_with_the_finding(bench: Path, author: Any, case: str) -> None:
    body, finding = FAILING[case]
    release = built(drafted(release_toml(recipe(body)), author, bench), author)
    assert release.state == Release.State.DRAFT
    assert moves(release) == [("draft", "building"), ("building", "draft")]
    reason = release.transitions.last().reason  # type: ignore[union-attr]
    assert re.search(finding, reason)
    assert reason in {one.finding for one in release.builds.all()}
    assert Job.objects.get().state == Job.State.DONE
    assert not Build.objects.filter(state=Build.State.RUNNING).exists()
    assert not BuildOutput.objects.filter(build__state=Build.State.FAILED).exists()
    assert not Asset.objects.exists()


@pytest.mark.parametrize("case", ["exit code", "link", "other bytes"])
def test_after_a_failed_build_a_corrected_one_works(bench: Path, author: Any, case: str) -> None:
    release = built(drafted(release_toml(recipe(FAILING[case][0])), author, bench), author)
    edit(release, author, recipe(GOOD), bench)
    built(release, author)
    assert release.state == Release.State.BUILT
    assert release.builds.filter(round=2).count() == 2
    assert release.builds.filter(round=1).count() == 2
    assert Manifest.objects.count() == 2


def test_the_same_draft_can_be_built_again(bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe(FAILING["exit code"][0])), author, bench)
    for number in (1, 2):
        built(release, author)
        assert release.state == Release.State.DRAFT
        assert release.builds.filter(round=number).count() == 2
    assert Manifest.objects.count() == 1


def test_a_recipe_that_takes_too_long_is_stopped(bench: Path, author: Any, settings: Any) -> None:
    settings.DFC_BUILD_WALL_S = 0.5
    release = built(drafted(release_toml(recipe("time.sleep(600)")), author, bench), author)
    assert release.state == Release.State.DRAFT
    finding = release.builds.first().finding  # type: ignore[union-attr]
    assert "ran longer than 0.5 s and was stopped" in finding
    assert "raise DFC_BUILD_WALL_S" in finding


def test_its_log_is_kept_to_the_end_whatever_it_prints(bench: Path, author: Any) -> None:
    body = "sys.stdout.buffer.write(b'x' * 300000 + b'\\0\\xff end\\n'); sys.exit(1)"
    release = built(drafted(release_toml(recipe(body)), author, bench), author)
    log = release.builds.first().log  # type: ignore[union-attr]
    assert log.endswith("\ufffd\ufffd end\n")
    assert len(log) <= execute.LOG_BYTES


def test_the_recipe_is_called_as_the_documentation_promises(bench: Path, author: Any) -> None:
    body = """
fixed = {name: os.environ[name] for name in ("TZ", "LC_ALL", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH")}
found = {"environment": fixed, "here": sorted(os.listdir()), "sources": sorted(os.listdir(given.sources))}
text = given.parameters.read_text()
target.write_text(json.dumps(found | {"parameters": text, "prefix": sys.prefix != sys.base_prefix}))
"""
    release = built(drafted(release_toml(recipe(body)), author, bench), author)
    assert release.state == Release.State.BUILT
    assert json.loads(build.output_path(release.builds.get(number=1), "words.csv").read_text()) == {
        "environment": {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1767323045"},
        "here": ["build.py", "requirements.lock"],
        "sources": ["words.txt"],
        "parameters": '{"colour":"red","share":0.5}',
        "prefix": True,
    }


def test_nothing_of_an_earlier_attempt_is_left_when_a_build_step_runs_again(bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    request_build(release, by=author, channel="command", now=timezone.now())
    engine.run_step(engine.due_steps()[0], has_heartbeat=False)
    step = Step.objects.get(pk=engine.due_steps()[0])
    for _ in range(2):
        (build.folder_of(Build.objects.get(pk=step.subject)) / "out").mkdir(parents=True, exist_ok=True)
        (build.folder_of(Build.objects.get(pk=step.subject)) / "out" / "left.csv").write_text("left")
        Step.objects.filter(pk=step.pk).update(state=Step.State.DUE, fence=F("fence") + 1)
        assert engine.run_step(step.pk, has_heartbeat=False)
        assert Build.objects.get(pk=step.subject).outputs.count() == 1
    engine.drain(30)
    release.refresh_from_db()
    assert release.state == Release.State.BUILT


def test_a_kept_source_with_other_bytes_is_not_built_from(bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    kept = factories.own_path(release.sources.get().storage_key)
    kept.write_bytes(b"ONE\ntwo\nthree\n")
    built(release, author)
    assert release.state == Release.State.DRAFT
    finding = release.builds.first().finding  # type: ignore[union-attr]
    assert "Source words.txt: what our storage keeps as" in finding
    assert "Remove it there, and edit the draft with the right file" in finding
    kept.unlink()
    edit(release, author, release.recipe.commit, bench)
    assert built(release, author).state == Release.State.BUILT


def test_a_source_that_is_not_kept_any_more_is_refused_before_a_build(bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    own_storage().delete(release.sources.get().storage_key)
    with pytest.raises(NotBuildableError, match=r"source words.txt is not kept whole.*Edit the draft and upload"):
        request_build(release, by=author, channel="command", now=timezone.now())
    assert not Build.objects.exists()
    assert not Job.objects.exists()
    assert moves(release) == []


def test_a_repository_that_is_gone_is_refused_before_a_build(bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    repository_folder().rename(bench / "elsewhere")
    with pytest.raises(RepositoryError, match="no repository of that name"):
        request_build(release, by=author, channel="command", now=timezone.now())
    release.refresh_from_db()
    assert release.state == Release.State.DRAFT
    assert not Manifest.objects.exists()


def test_a_link_that_leads_out_of_the_code_is_found_by_the_build(bench: Path, author: Any) -> None:
    recipe()
    release = built(drafted(release_toml(commit({}, links={"out": "../../secret"})), author, bench), author)
    assert release.state == Release.State.DRAFT
    assert "Remove links that lead out" in release.builds.first().finding  # type: ignore[union-attr]


def test_a_worker_with_another_python_than_locked_does_not_build(
    bench: Path, author: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    request_build(release, by=author, channel="command", now=timezone.now())
    engine.run_step(engine.due_steps()[0], has_heartbeat=False)
    monkeypatch.setattr(environments, "PYTHON", "3.99")
    engine.drain(30)
    release.refresh_from_db()
    assert release.state == Release.State.DRAFT
    assert "this worker has 3.99. Build again" in release.builds.first().finding  # type: ignore[union-attr]


@pytest.mark.parametrize("state", ["building", "built"])
def test_what_is_no_draft_is_not_built(bench: Path, author: Any, state: str) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    request_build(release, by=author, channel="command", now=timezone.now())
    if state == "built":
        engine.drain(30)
        release.refresh_from_db()
    with pytest.raises(NotBuildableError, match=r"not a draft. Edit it to build it again"):
        request_build(release, by=author, channel="command", now=timezone.now())
    assert Job.objects.count() == 1


def test_of_two_requests_at_once_one_is_refused(bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe()), author, bench)
    stale = Release.objects.get(pk=release.pk)
    request_build(release, by=author, channel="command", now=timezone.now())
    with pytest.raises(NotBuildableError, match="somebody moved it just now"):
        request_build(stale, by=author, channel="command", now=timezone.now())
    assert Job.objects.count() == 1
    engine.drain(30)
    assert Build.objects.count() == 2


def stop_when_begun(folder: Path, job: Job, by: Any) -> None:
    eventually(lambda: list(folder.glob("*/*/out/begun")))
    steering.cancel(job, by=by)
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_stopping_a_build_ends_the_recipe_and_gives_the_draft_back(bench: Path, author: Any) -> None:
    release = drafted(release_toml(recipe("(given.out / 'begun').touch(); time.sleep(600)")), author, bench)
    job = request_build(release, by=author, channel="command", now=timezone.now())
    stopper = threading.Thread(target=stop_when_begun, args=(bench / "builds", job, author))
    stopper.start()
    engine.drain(60)
    stopper.join(60)
    release.refresh_from_db()
    assert release.state == Release.State.DRAFT
    assert {one.finding for one in release.builds.all()} == {"Stopped by a person."}
    assert moves(release) == [("draft", "building"), ("building", "draft")]
    eventually(lambda: not alive(f"{bench}/builds"))
    edit(release, author, recipe(GOOD), bench)
    assert built(release, author).state == Release.State.BUILT
