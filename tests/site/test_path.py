"""The path of one release, from its recipe to what the public sees, through the real pipeline."""

import hashlib
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from catalog.models import Asset, Version
from catalog.storage.connect import own_storage
from dfc_site import demo
from mirrors.models import Check, Replica
from releases.approve import approve_release
from releases.drafts.definition import read_definition
from releases.edit import edit_release
from releases.errors import NotApprovableError, NotEditableError
from releases.models import Build, Job, Release
from swarm.models import Torrent
from tests.site.walk import approve

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_release_goes_from_recipe_to_public(published: Release) -> None:
    jobs = {
        job.key: [step.error for step in job.steps.exclude(error="")] for job in Job.objects.exclude(state="done")
    }
    assert jobs == {}
    assert published.state == Release.State.PUBLISHED
    version = Version.objects.get(pk=published.version_id)
    assert version.state == Version.State.PUBLISHED
    assert version.doi is not None
    assert version.doi.startswith("10.5072/")
    moves = [(one.source, one.to) for one in published.transitions.all()]
    assert moves == [
        ("draft", "building"),
        ("building", "built"),
        ("built", "in_review"),
        ("in_review", "approved"),
        ("approved", "publishing"),
        ("publishing", "published"),
    ]


def test_every_file_has_two_fully_read_copies_and_a_torrent(published: Release) -> None:
    assets = list(Asset.objects.filter(item__version=published.version_id))
    assert {asset.role for asset in assets} == {"data", "source", "source-bundle"}
    for asset in assets:
        stored = b"".join(own_storage().read(asset.storage_key))
        assert hashlib.sha256(stored).hexdigest() == asset.sha256
        replicas = Replica.objects.filter(asset=asset)
        assert {one.state for one in replicas} == {"verified"}
        assert replicas.count() == 2
        levels = Check.objects.filter(replica__asset=asset, result="passed").values_list("level", flat=True)
        assert levels.filter(level=4).count() >= 2
        assert Torrent.objects.filter(asset=asset).count() == 1


def test_it_was_built_twice_and_once_more_from_its_bundle(published: Release) -> None:
    builds = list(published.builds.values_list("purpose", "verdict"))
    assert sorted(builds) == [("confirm", "identical"), ("review", "first"), ("review", "identical")]
    assert all(build.isolation for build in Build.objects.all())


def test_the_author_and_the_submitter_cannot_approve(in_review: Release) -> None:
    with pytest.raises(NotApprovableError, match="A second person has to approve"):
        approve(in_review, demo.person("author"))
    in_review.refresh_from_db()
    assert in_review.state == Release.State.IN_REVIEW
    assert not Job.objects.filter(pipeline="publish").exists()


def test_an_approval_is_bound_to_what_was_seen(in_review: Release) -> None:
    with pytest.raises(NotApprovableError, match="not what was reviewed"):
        approve_release(
            in_review, by=demo.person("reviewer"), channel="admin", seen_digest="0" * 64, now=timezone.now()
        )
    assert not in_review.approvals.exists()


def edit(release: Release, old: str, new: str) -> None:
    edit_release(
        release,
        read_definition(release.definition.replace(old, new)),
        by=demo.person("author"),
        channel="admin",
        offered={},
        storage=own_storage(),
        now=timezone.now(),
    )


def test_an_edit_after_review_voids_it_and_asks_for_a_new_build(in_review: Release) -> None:
    seen = in_review.reviewed_digest
    edit(in_review, "Made with Natural Earth.", "Made with Natural Earth data.")
    assert in_review.state == Release.State.DRAFT
    assert in_review.reviewed_digest == ""
    with pytest.raises(NotApprovableError, match="not in review"):
        approve_release(in_review, by=demo.person("reviewer"), channel="admin", seen_digest=seen, now=timezone.now())


def test_two_approvers_are_counted_and_an_edit_voids_the_first(in_review: Release, settings: Any) -> None:
    settings.DFC_APPROVERS = 2
    approve(in_review, demo.person("reviewer"))
    assert in_review.state == Release.State.IN_REVIEW
    with pytest.raises(NotApprovableError, match="has approved it already"):
        approve(in_review, demo.person("reviewer"))
    edit(in_review, "Made with Natural Earth.", "Made with Natural Earth data.")
    assert in_review.approvals.get().voided_at is not None


def test_one_person_may_do_it_all_only_where_the_setting_says_so(in_review: Release, settings: Any) -> None:
    settings.DFC_APPROVERS = 0
    approve(in_review, demo.person("author"))
    assert in_review.state == Release.State.PUBLISHING


def test_nothing_is_edited_once_it_is_published(published: Release) -> None:
    with pytest.raises(NotEditableError, match="can no longer be edited"):
        edit(published, "Made with Natural Earth.", "Made with Natural Earth data.")


def test_nothing_of_a_draft_is_public(in_review: Release, client: Client) -> None:
    identifier = in_review.version.dataset.identifier
    asset = f"{identifier}_v0.1.0-beta.geojson"
    for address in (
        f"/en/datasets/{identifier}/",
        f"/fr/datasets/{identifier}/v0.1.0-beta/",
        f"/d/{identifier}/v0.1.0-beta/{asset}",
        f"/d/{identifier}/latest/{asset}.torrent",
        f"/d/{identifier}/v0.1.0-beta/SHA256SUMS",
    ):
        assert client.get(address).status_code == 404, address
    assert identifier not in client.get("/en/").content.decode()


def test_the_public_pages_and_doors_open_when_it_is_published(published: Release, client: Client) -> None:
    version = published.version
    identifier = version.dataset.identifier
    asset = Asset.objects.get(item__version=version, key="data")
    door = f"/d/{identifier}/v0.1.0-beta/{asset.path}"
    for language, words in (("en", "Provinces and territories"), ("fr", "Provinces et territoires")):
        page = client.get(f"/{language}/datasets/{identifier}/v0.1.0-beta/").content.decode()
        assert words in page
        assert asset.sha256[-8:] in page
    assert client.get(door).status_code == 302
    assert asset.sha256 in client.get(f"{door}.sha256").content.decode()
    mirrors = json.loads(client.get(f"{door}.mirrors.json").content)
    assert "origin" in json.dumps(mirrors)
    assert client.get(f"{door}.torrent")["Content-Type"] == "application/x-bittorrent"
    assert asset.path in client.get(f"/d/{identifier}/latest/SHA256SUMS").content.decode()


def test_the_command_follows_the_same_rules(in_review: Release, capsys: Any) -> None:
    words = (in_review.version.dataset.identifier, "v0.1.0-beta")
    call_command("release", "approve", *words, "--by", "reviewer", "--dry-run")
    in_review.refresh_from_db()
    assert in_review.state == Release.State.IN_REVIEW
    call_command("release", "status", *words, "--json")
    shown = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert shown["state"] == "in_review"
    call_command("release", "approve", *words, "--by", "reviewer")
    in_review.refresh_from_db()
    assert in_review.state == Release.State.PUBLISHING
