"""Statements about rebuilds come in through the API, are judged by us, and are there for everybody to check."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from django.test import Client
from django.utils import timezone

from catalog.models import Version
from dfc_site import demo
from dfc_site.api.attestations import STATUS
from releases.errors import KeyTextError
from releases.models import Attestation, Build, Job, Rebuilder, Release, SigningKey, Step
from releases.review import reviewed_build
from releases.statements import sign
from releases.statements.envelopes import open_envelope, read_public_key, verify
from releases.statements.recognise import revoke_rebuilder
from tests import factories
from tests.releases.keys import private_pem
from tests.releases.signing import WHY, Stranger, outputs

API = "/api/v1/attestations/"


@pytest.fixture
def published(published_once: Release, db: None) -> Release:
    return Release.objects.get(pk=published_once.pk)


@pytest.fixture
def curator(published: Release) -> Any:
    return demo.person("reviewer")


@pytest.fixture
def lab(curator: Any) -> Stranger:
    """A rebuilder that the curators recognise."""
    stranger = Stranger()
    stranger.recognised(curator)
    return stranger


def now() -> datetime:
    return timezone.now()


def send(client: Client, envelope: bytes) -> Any:
    return client.post(API, envelope, content_type="application/json")


def refused(client: Client, envelope: bytes) -> tuple[int, str]:
    """Send what must be refused; gives status and code, and sees that nothing was kept of it."""
    before = list(Attestation.objects.values())
    answer = send(client, envelope)
    error = answer.json()["error"]
    assert error["message"].endswith(".")
    assert list(Attestation.objects.values()) == before
    return answer.status_code, error["code"]


def only(release: Release) -> str:
    (path,) = list(outputs(release))[:1]
    return path


def test_the_same_bytes_are_found_identical_and_the_statement_is_kept_verbatim(
    published: Release, lab: Stranger, client: Client
) -> None:
    envelope = lab.provenance(published, at=now())
    answer = send(client, envelope)
    assert (answer.status_code, answer.json()["verdict"]) == (201, "identical")
    again = client.get(answer.json()["url"].removeprefix("http://127.0.0.1:8000"))
    assert again.content == envelope
    assert "immutable" in again["Cache-Control"]
    assert again["Access-Control-Allow-Origin"] == "*"
    row = Attestation.objects.get()
    assert (row.version, row.channel, row.differences.count()) == (published.version, "api", 0)


def test_other_bytes_are_kept_with_each_differing_file_named(
    published: Release, lab: Stranger, client: Client
) -> None:
    path = only(published)
    send(client, lab.provenance(published, at=now(), **{path: "0" * 64, "extra.csv": "1" * 64}))
    row = Attestation.objects.get()
    assert row.verdict == "different"
    kinds = {one.path: (one.kind, one.published_sha256, one.sha256) for one in row.differences.all()}
    assert kinds == {
        path: ("different", outputs(published)[path], "0" * 64),
        "extra.csv": ("extra", "", "1" * 64),
    }


def test_a_file_that_did_not_come_out_is_missing(published: Release, lab: Stranger, client: Client) -> None:
    path = only(published)
    answer = send(client, lab.provenance(published, at=now(), **{path: "", "other.csv": "1" * 64}))
    found = {one["path"]: one["kind"] for one in answer.json()["differing_files"]}
    assert found == {path: "missing", "other.csv": "extra"}


def test_a_failed_rebuild_is_kept_with_what_failed(published: Release, lab: Stranger, client: Client) -> None:
    answer = send(client, lab.failure(published, at=now()))
    assert answer.status_code == 201
    assert (answer.json()["verdict"], answer.json()["finding"]) == ("failed", "the recipe ended with exit code 1")
    assert answer.json()["predicate_type"] == "https://in-toto.io/attestation/test-result/v0.1"


def test_the_same_statement_again_is_the_one_that_is_here_however_it_is_wrapped(
    published: Release, lab: Stranger, client: Client
) -> None:
    envelope = lab.provenance(published, at=now())
    first = send(client, envelope)
    wrapped = json.dumps(json.loads(envelope), indent=4).encode()
    for again in (send(client, envelope), send(client, wrapped)):
        assert (again.status_code, again.json()["sha256"]) == (200, first.json()["sha256"])
    assert Attestation.objects.count() == 1


def test_an_unknown_key_is_refused_and_told_how_to_become_known(
    published: Release, client: Client, curator: Any
) -> None:
    envelope = Stranger().provenance(published, at=now())
    assert refused(client, envelope) == (403, "unknown_key")
    assert "docs/attestations.md" in send(client, envelope).json()["error"]["message"]


def test_our_own_key_is_none_of_a_rebuilder(published: Release, client: Client, settings: Any) -> None:
    settings.DFC_SIGNING_KEY = private_pem()
    ours = sign.sign_release(published, now=now(), channel="command")
    assert refused(client, ours.envelope.encode()) == (403, "unknown_key")


def test_a_forged_statement_is_refused(published: Release, lab: Stranger, client: Client) -> None:
    forged = json.loads(Stranger().provenance(published, at=now()))
    forged["signatures"][0]["keyid"] = lab.signer.public_key.keyid
    assert refused(client, json.dumps(forged).encode()) == (403, "bad_signature")
    honest = json.loads(lab.provenance(published, at=now()))
    changed = json.loads(lab.provenance(published, at=now(), **{only(published): "0" * 64}))
    assert refused(client, json.dumps(honest | {"payload": changed["payload"]}).encode()) == (403, "bad_signature")


def test_a_revoked_key_is_refused_and_what_it_signed_counts_no_more(
    published: Release, lab: Stranger, client: Client, curator: Any
) -> None:
    envelope = lab.provenance(published, at=now())
    send(client, envelope)
    revoke_rebuilder(Rebuilder.objects.get(), by=curator, reason=WHY, now=now(), channel="command")
    for one in (envelope, lab.provenance(published, at=now() + timedelta(seconds=1))):
        assert refused(client, one) == (403, "revoked_key")
    listed = listing(client, published)
    assert (listed["rebuilders"], len(listed["attestations"])) == (0, 1)
    assert not listed["attestations"][0]["counts"]


def test_a_manifest_that_is_not_the_published_one_is_refused(
    published: Release, lab: Stranger, client: Client
) -> None:
    manifest = json.loads(reviewed_build(published).manifest.body)
    manifest["externalParameters"]["parameters"] = {"tampered": True}
    other = lab.sealed(rfc8785.dumps(manifest).decode(), outputs(published), now())
    assert refused(client, other) == (422, "manifest_differs")


def test_a_statement_about_nothing_that_we_publish_is_refused(
    published: Release, lab: Stranger, client: Client
) -> None:
    manifest = json.loads(reviewed_build(published).manifest.body)
    manifest["externalParameters"]["version"] = "9.9.9"
    other = lab.sealed(rfc8785.dumps(manifest).decode(), outputs(published), now())
    assert refused(client, other) == (404, "unknown_version")


def test_a_draft_is_nothing_that_we_publish(published: Release, lab: Stranger, client: Client) -> None:
    Version.objects.update(state="draft")
    assert refused(client, lab.provenance(published, at=now())) == (404, "unknown_version")
    assert refused(client, lab.failure(published, at=now())) == (404, "unknown_version")


def test_nothing_more_is_said_about_what_was_withdrawn(published: Release, lab: Stranger, client: Client) -> None:
    Version.objects.update(state="withdrawn")
    assert refused(client, lab.provenance(published, at=now())) == (410, "withdrawn")


def test_a_manifest_of_an_earlier_round_is_not_the_published_one(
    published: Release, lab: Stranger, client: Client
) -> None:
    build = reviewed_build(published)
    earlier = type(build.manifest).objects.create(sha256="e" * 64, body="{}", locked_at=now())
    Build.objects.create(
        release=published, manifest=earlier, purpose="review", round=0, number=1, started_at=now(), state="running"
    )
    envelope = lab.failure(published, at=now())
    payload = json.loads(open_envelope(envelope).payload)
    payload["predicate"]["configuration"][0]["digest"]["sha256"] = "e" * 64
    payload["subject"][0]["digest"]["sha256"] = "e" * 64
    assert refused(client, lab.signed(payload)) == (422, "manifest_differs")


def test_a_time_in_the_future_or_before_the_approval_is_refused(
    published: Release, lab: Stranger, client: Client
) -> None:
    assert published.approved_at
    assert refused(client, lab.provenance(published, at=now() + timedelta(minutes=6))) == (422, "future")
    early = published.approved_at - timedelta(seconds=2)
    assert refused(client, lab.provenance(published, at=early)) == (422, "before_approval")


def test_the_newest_run_of_a_rebuilder_counts_and_an_older_one_is_stale(
    published: Release, lab: Stranger, client: Client
) -> None:
    first, second = now(), now() + timedelta(seconds=60)
    assert send(client, lab.provenance(published, at=first)).status_code == 201
    assert send(client, lab.failure(published, at=second)).status_code == 201
    between = lab.provenance(published, at=second - timedelta(seconds=30))
    assert refused(client, between) == (409, "stale")
    assert refused(client, lab.provenance(published, at=second)) == (409, "stale")
    listed = listing(client, published)
    assert [(one["verdict"], one["counts"]) for one in listed["attestations"]] == [
        ("failed", True),
        ("identical", False),
    ]
    assert (listed["rebuilders"], listed["identical"]) == (1, 0)


def listing(client: Client, release: Release) -> Any:
    version = release.version
    answer = client.get(f"/api/v1/versions/{version.dataset.identifier}/{version.shown}/attestations/")
    assert answer.status_code == 200
    return answer.json()


def test_what_is_no_statement_is_refused_with_the_code_of_its_fault(
    published: Release, lab: Stranger, client: Client
) -> None:
    assert refused(client, b"hello") == (400, "not_dsse")
    assert refused(client, b"x" * ((1 << 20) + 1)) == (413, "too_large")
    assert refused(client, lab.signed({"a": 1})) == (400, "not_in_toto")
    statement = json.loads(open_envelope(lab.provenance(published, at=now())).payload)
    assert refused(client, lab.signed(statement | {"predicateType": "x"})) == (422, "unknown_predicate")
    assert refused(client, lab.signed(statement | {"subject": []})) == (422, "malformed")


def test_refusals_are_said_in_the_language_of_who_asks(published: Release, client: Client) -> None:
    answer = client.post(API, b"hello", content_type="application/json", headers={"Accept-Language": "fr"})
    assert answer["Content-Language"] == "fr"


def test_a_network_that_sends_too_much_refused_stuff_waits_and_others_do_not(
    published: Release, lab: Stranger, client: Client, settings: Any
) -> None:
    settings.DFC_REFUSED_STATEMENTS_PER_NETWORK = 2
    good = lab.provenance(published, at=now())
    assert [send(client, b"x").status_code for _ in range(3)] == [400, 400, 429]
    answer = send(client, good)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many")
    assert client.post(API, good, content_type="x/y", REMOTE_ADDR="198.51.100.9").status_code == 201


def test_statements_that_are_good_are_not_limited(
    published: Release, lab: Stranger, client: Client, settings: Any
) -> None:
    settings.DFC_REFUSED_STATEMENTS_PER_NETWORK = 1
    at = now()
    for second in range(3):
        assert send(client, lab.provenance(published, at=at + timedelta(seconds=second))).status_code == 201


def test_only_a_post_brings_a_statement_and_only_a_get_reads(client: Client, db: None) -> None:
    assert client.get(API).status_code == 405
    assert client.post("/api/v1/rebuilders/").status_code == 405
    for nothing in ("0" * 64, "x%00y"):
        assert client.get(f"{API}{nothing}.json").status_code == 404


def test_statements_by_the_key_are_verified_with_the_listed_public_keys(
    published: Release, lab: Stranger, client: Client, settings: Any
) -> None:
    settings.DFC_SIGNING_KEY = private_pem()
    sign.sign_release(published, now=now(), channel="command")
    send(client, lab.provenance(published, at=now()))
    keys = client.get("/api/v1/rebuilders/").json()
    listed = {one["keyid"]: one["public_key"] for one in keys["ours"] + keys["rebuilders"]}
    assert "contact" not in json.dumps(keys)
    for row in listing(client, published)["attestations"]:
        envelope = client.get(f"{API}{row['sha256']}.json").content
        verify(open_envelope(envelope), read_public_key(listed[row["keyid"]]))


def test_our_provenance_names_every_build_and_is_signed_once(published: Release, settings: Any) -> None:
    settings.DFC_SIGNING_KEY = private_pem()
    first = sign.sign_release(published, now=now(), channel="command")
    settings.DFC_SIGNING_KEY = private_pem()
    assert sign.sign_release(published, now=now(), channel="command") == first
    statement = json.loads(open_envelope(first.envelope.encode()).payload)
    assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == outputs(published)
    assert (
        rfc8785.dumps(statement["predicate"]["buildDefinition"]).decode() == reviewed_build(published).manifest.body
    )
    builds = statement["predicate"]["runDetails"]["byproducts"]
    assert [(one["name"], one["annotations"]["verdict"]) for one in builds] == [
        ("review/1", "first"),
        ("review/2", "identical"),
        ("confirm/1", "identical"),
    ]
    assert SigningKey.objects.get().keyid == first.keyid


def test_the_step_that_signs_may_be_run_twice_and_needs_a_key(published: Release, settings: Any) -> None:
    assert sign.expand_attest(published.pk) == []
    with pytest.raises(KeyTextError, match="no key to sign with"):
        sign.sign_release(published, now=now(), channel="command")
    settings.DFC_SIGNING_KEY = private_pem()
    (spec,) = sign.expand_attest(published.pk)
    for _ in range(2):
        Job.objects.filter(key=f"{spec.function}:{spec.subject}").delete()
        sign.attest_release(factories.step(spec.function, spec.subject), spec.subject)
        assert Step.objects.get(function=spec.function).state == Step.State.DONE
    assert Attestation.objects.ours().count() == 1


def test_the_page_for_machines_names_every_refusal_with_its_status() -> None:
    page = Path("docs/attestations.md").read_text(encoding="utf-8")
    documented: dict[str, int] = {}
    for codes, status in re.findall(r"^\| (`[a-z_`, ]+`) \| (\d{3}) \|", page, re.MULTILINE):
        documented |= dict.fromkeys(re.findall(r"[a-z_]+", codes), int(status))
    raised = set(re.findall(r'code="([a-z_]+)"', "".join(map(text_of, ("attest", "envelopes", "provenance")))))
    assert documented.pop("too_many") == 429
    assert documented == {code: STATUS.get(code, 422) for code in raised}


def text_of(module: str) -> str:
    return Path(f"releases/statements/{module}.py").read_text(encoding="utf-8")
