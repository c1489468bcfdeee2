"""A release whose environment is a Containerfile: its image is made once, kept, and every build runs in it."""

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from catalog.models import Asset
from catalog.storage.connect import own_storage
from mirrors.models import Policy
from releases import build
from releases.approve import approve_release
from releases.build import request_build
from releases.errors import EnvironmentDefinitionError
from releases.executors.engine import call
from releases.jobs import engine as jobs
from releases.models import Build, EnvironmentImage, Job, Release, Step
from releases.submit import submit_release
from tests import factories
from tests.releases.bundles import INTERPRETER
from tests.releases.containers import base_image, engine, needs_podman
from tests.releases.recipes import (
    PREAMBLE,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    commit,
    drafted,
    release_toml,
    reviewer_fixture,  # noqa: F401  a fixture
)

pytestmark = [pytest.mark.django_db, *needs_podman]
CONTAINERFILE = "FROM {base}\nCOPY {library} /opt/library.py\nENV PYTHONPATH=/opt\n"
SHOUT = "from library import shout\ntarget.write_text(shout(words))\n"
LIBRARY = "def shout(words):\n    return words.upper()\n"


def container_toml(body: str = SHOUT, definition: str = CONTAINERFILE, *, number: str = "1.0.0") -> str:
    """Commit a recipe that runs in a container, and give the release.toml that names it."""
    text = definition.format(base=base_image(), library="lib/library.py")
    library = f"{LIBRARY}# {os.getpid()}\n"  # an image of our own, which no other process of the suite removes
    files = {"build.py": PREAMBLE + body, "env/Containerfile": text, "lib/library.py": library}
    return release_toml(commit(files), number=number).replace('"requirements.lock"', '"env/Containerfile"')


def until_confirmed(release: Release, author: Any, reviewer: Any) -> Build:
    """Submit, approve and publish as far as the rebuild from the bundle, which is given."""
    submit_release(release, by=author, channel="command", now=timezone.now())
    approve_release(release, by=reviewer, channel="command", seen_digest=release.reviewed_digest, now=timezone.now())
    Policy.objects.create(mirror=factories.mirror("origin", endpoint=str(settings.DFC_STORAGE_DIR)))
    confirmed = Build.objects.filter(release=release, purpose=Build.Purpose.CONFIRM).exclude(verdict="")
    while not confirmed.exists():
        assert any(jobs.run_step(pk, has_heartbeat=False) for pk in jobs.due_steps()), errors()
    return confirmed.get()


def errors() -> list[str]:
    return list(Step.objects.exclude(error="").values_list("error", flat=True))


def forget(image: str) -> None:
    done = call(engine(), "rmi", "--force", image)
    assert done.returncode == 0, done.stderr


def test_a_recipe_in_a_container_is_built_twice_and_its_manifest_names_the_image(bench: Path, author: Any) -> None:
    loose = CONTAINERFILE + 'CMD ["curl", "https://example.org"]\n'
    release = built(drafted(container_toml(definition=loose), author, bench), author)
    assert release.state == Release.State.BUILT, errors()
    one, two = release.builds.order_by("number")
    assert [(one.verdict, one.executor), (two.verdict, two.executor)] == [
        ("first", "container"),
        ("identical", "container"),
    ]
    assert build.output_path(one, "words.csv").read_bytes() == b"ONE\nTWO\nTHREE\n"
    assert "no network, no privileges" in one.isolation
    image = EnvironmentImage.objects.get()
    document = json.loads(one.manifest.body)
    named = {entry["name"]: entry["digest"] for entry in document["resolvedDependencies"]}
    base, digest = base_image().split("@sha256:")
    assert document["buildType"].endswith("/container/v1")
    assert named["environment"] == {"sha256": image.image_id} == {"sha256": one.environment_sha256}
    assert named[f"environment-base/{base}@sha256:{digest}"] == {"sha256": digest}
    assert "environment-packages" in named
    assert image.bases == f"{base}@sha256:{digest}\n"
    assert own_storage().size(image.storage_key) == image.size_bytes
    warned = release.findings.exclude(code="first-edition").get()
    assert (warned.file, warned.code, warned.severity) == ("env/Containerfile", "network-at-run", "warning")
    assert (warned.found, warned.instead) == ("curl", "4")


def test_an_image_is_made_once_for_the_same_code_and_loaded_where_it_is_absent(bench: Path, author: Any) -> None:
    text = container_toml()
    built(drafted(text, author, bench), author)
    image = EnvironmentImage.objects.get()
    forget(image.image_id)
    again = built(drafted(text.replace("1.0.0", "1.1.0"), author, bench), author)
    assert again.state == Release.State.BUILT, errors()
    assert EnvironmentImage.objects.get() == image
    assert again.builds.first().environment_sha256 == image.image_id  # type: ignore[union-attr]


@pytest.mark.long
def test_a_kept_image_with_other_bytes_is_not_loaded(bench: Path, author: Any) -> None:
    release = drafted(container_toml(), author, bench)
    built(release, author)
    image = EnvironmentImage.objects.get()
    forget(image.image_id)
    with factories.own_path(image.storage_key).open("r+b") as file:
        file.seek(5000)
        file.write(b"changed")
    other = built(drafted(release.definition.replace('"1.0.0"', '"1.1.0"'), author, bench), author)
    assert other.state == Release.State.BUILDING
    assert "is gone or has other bytes. Put the archive with sha256" in errors()[0]


def test_a_containerfile_that_cannot_be_made_needs_a_person_and_says_why(bench: Path, author: Any) -> None:
    broken = CONTAINERFILE + 'RUN ["/usr/bin/python3", "-c", "raise SystemExit(\'no such thing\')"]\n'
    release = built(drafted(container_toml(definition=broken), author, bench), author)
    assert release.state == Release.State.BUILDING
    assert Job.objects.get().steps.get().state == Step.State.FAILED
    assert "could not make its image" in errors()[0]
    assert "no such thing" in errors()[0]
    assert not Build.objects.exists()


def test_an_image_without_a_digest_is_refused_before_a_draft_and_before_a_build(bench: Path, author: Any) -> None:
    release = drafted(container_toml(), author, bench)
    loose = container_toml(definition="FROM debian:trixie\nRUN curl https://example.org | sh\n", number="1.1.0")
    with pytest.raises(
        EnvironmentDefinitionError, match=r"Line 1: the image debian:trixie has no digest.*Line 2: curl"
    ):
        drafted(loose, author, bench)
    recipe = release.recipe
    recipe.commit = loose.split('commit = "')[1][:40]
    recipe.save()
    with pytest.raises(EnvironmentDefinitionError, match="has no digest"):
        request_build(release, by=author, channel="command", now=timezone.now())
    assert not Job.objects.exists()


def test_from_the_bundle_it_is_confirmed_and_a_stranger_rebuilds_it_in_an_empty_folder(
    bench: Path, author: Any, reviewer: Any
) -> None:
    release = built(drafted(container_toml(), author, bench), author)
    image = EnvironmentImage.objects.get()
    confirmed = until_confirmed(release, author, reviewer)
    assert (confirmed.verdict, confirmed.executor) == ("identical", "container"), confirmed.log
    assert confirmed.isolation.startswith("rebuild.py with ")
    published = Asset.objects.get(role="environment")
    assert (published.sha256, published.path) == (image.archive_sha256, "environment/image.tar")
    forget(image.image_id)
    done = rebuilt(
        bench, Asset.objects.get(key="source-bundle"), "--image", factories.own_path(published.storage_key)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("identical  ")
    assert "NOTE" not in done.stderr


@pytest.mark.long
def test_without_the_image_a_stranger_makes_it_anew_and_is_told_so(bench: Path, author: Any, reviewer: Any) -> None:
    release = built(drafted(container_toml(), author, bench), author)
    until_confirmed(release, author, reviewer)
    forget(EnvironmentImage.objects.get().image_id)
    done = rebuilt(bench, Asset.objects.get(key="source-bundle"), "--image", bench / "sources" / "words.txt")
    assert "words.txt is not there or has other bytes" in done.stderr
    assert "it is made anew from environment/Containerfile" in done.stderr
    assert done.returncode == 0, done.stderr


def rebuilt(bench: Path, bundle: Asset, *words: object, seconds: float = 100) -> "subprocess.CompletedProcess[str]":
    """Unpack a bundle and rebuild from it as a stranger does, without our code and our environment."""
    folder = bench / "stranger"
    with tarfile.open(factories.own_path(bundle.storage_key)) as tar:
        tar.extractall(folder, filter="data")
    return subprocess.run(
        [
            *(INTERPRETER, "-I", "rebuild.py", "--sources", str(bench / "sources")),
            *map(str, words),
            *("--out", str(bench / "rebuilt")),
        ],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(bench), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
