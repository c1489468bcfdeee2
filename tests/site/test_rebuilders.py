"""Rebuilders are recognised and revoked by curators, in the admin and by commands; strangers send from a form."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from releases.errors import NotAllowedError, ReasonError, RebuilderError
from releases.models import Attestation, Rebuilder, Release
from releases.statements.envelopes import public_pem
from releases.statements.recognise import recognise_rebuilder, revoke_rebuilder
from tests.releases.keys import private_pem
from tests.releases.recipes import person, strangers
from tests.releases.signing import WHY, Stranger, outputs
from tests.releases.test_provenance import AT, FILES, MANIFEST

ADMIN = "/admin/releases/rebuilder/"


def recognise(stranger: Stranger, by: Any, reason: str = WHY, **facts: str) -> Rebuilder:
    entry = stranger.entry(**facts)
    return recognise_rebuilder(entry, by=by, reason=reason, now=timezone.now(), channel="command")


def revoke(rebuilder: Rebuilder, by: Any, reason: str = WHY) -> None:
    revoke_rebuilder(rebuilder, by=by, reason=reason, now=timezone.now(), channel="command")


@pytest.fixture
def published(published_once: Release, db: None) -> Release:
    return Release.objects.get(pk=published_once.pk)


@pytest.fixture
def curator(db: None) -> Any:
    return person("curator-of-keys", "curator", is_staff=True)


def test_who_recognised_and_revoked_a_key_and_why_is_kept(curator: Any) -> None:
    rebuilder = recognise(Stranger(), curator)
    revoke(rebuilder, curator, "Its machine was stolen.")
    assert rebuilder.state == "revoked"
    assert [(one.source, one.to, one.by, one.why) for one in rebuilder.transitions.all()] == [
        ("recognised", "revoked", curator, "Its machine was stolen."),
        ("", "recognised", curator, WHY),
    ]
    with pytest.raises(RebuilderError, match="revoked already"):
        revoke(rebuilder, curator)


@pytest.mark.parametrize("name", ["stranger", "auditor", "inactive"])
def test_others_may_neither_recognise_nor_revoke(curator: Any, name: str) -> None:
    rebuilder, by = recognise(Stranger(), curator), strangers()[name]
    with pytest.raises(NotAllowedError, match="recognise_rebuilder"):
        recognise(Stranger("Another"), by)
    with pytest.raises(NotAllowedError, match="recognise_rebuilder"):
        revoke(rebuilder, by)
    assert list(Rebuilder.objects.values_list("name", "state")) == [("University lab", "recognised")]


@pytest.mark.parametrize(
    "facts",
    [
        {"name": " "},
        {"name": "two\nlines"},
        {"name": "x" * 121},
        {"jurisdiction": "ca"},
        {"jurisdiction": "XX"},
        {"operator_kind": "robot"},
        {"public_key": "no key"},
    ],
)
def test_an_entry_that_cannot_be_shown_or_used_is_refused(curator: Any, facts: dict[str, str]) -> None:
    with pytest.raises(RebuilderError):
        recognise(Stranger(), curator, **facts)
    with pytest.raises(ReasonError):
        recognise(Stranger(), curator, "why")
    assert not Rebuilder.objects.exists()


def test_a_key_stands_once_and_a_name_once_among_those_recognised(curator: Any) -> None:
    first = recognise(Stranger(), curator)
    with pytest.raises(RebuilderError, match="is here already"):
        recognise(Stranger(), curator)
    with pytest.raises(RebuilderError, match="is here already"):
        recognise(Stranger(), curator, name="Another", public_key=first.public_key)
    revoke(first, curator)
    assert recognise(Stranger(), curator).name == first.name


def test_a_curator_recognises_and_revokes_in_the_admin(curator: Any, client: Client) -> None:
    client.force_login(curator)
    entry = Stranger().entry()
    given = {"name": "Lab", "operator_kind": "person", "jurisdiction": "CA", "contact": "lab@example.org"}
    answer = client.post(f"{ADMIN}add/", {**given, "public_key": "no key", "reason": WHY})
    assert "It is no public key in PEM" in answer.content.decode()
    assert client.post(f"{ADMIN}add/", {**given, "public_key": entry.public_key, "reason": WHY}).status_code == 302
    rebuilder = Rebuilder.objects.get()
    assert rebuilder.transitions.get().channel == "admin"
    page = client.get(f"{ADMIN}{rebuilder.pk}/change/").content.decode()
    assert WHY in page
    chosen = {"action": "revoke", "_selected_action": [rebuilder.pk], "reason": "Its machine was stolen."}
    assert "Revoke keys" in client.post(ADMIN, chosen).content.decode()
    rebuilder.refresh_from_db()
    assert rebuilder.state == "recognised"
    client.post(ADMIN, {**chosen, "sure": "1"})
    rebuilder.refresh_from_db()
    assert rebuilder.state == "revoked"


def test_an_auditor_reads_keys_and_statements_and_changes_none(
    published: Release, client: Client, settings: Any
) -> None:
    lab = Stranger()
    lab.recognised(published.author)
    envelope = lab.provenance(published, at=timezone.now(), **{next(iter(outputs(published))): "0" * 64})
    assert client.post("/api/v1/attestations/", envelope, content_type="x/y").status_code == 201
    client.force_login(person("auditor", "auditor", is_staff=True))
    row = Attestation.objects.get()
    page = client.get(f"/admin/releases/attestation/{row.pk}/change/").content.decode()
    assert "0" * 64 in page
    assert client.get(f"/admin/releases/attestation/{row.pk}/envelope/").content == envelope
    assert client.get(f"{ADMIN}add/").status_code == 403
    for path in (ADMIN, "/admin/releases/attestation/", "/admin/releases/signingkey/"):
        assert client.get(path).status_code == 200
    chosen = {"action": "revoke", "_selected_action": [Rebuilder.objects.get().pk], "sure": "1", "reason": WHY}
    client.post(ADMIN, chosen)
    assert Rebuilder.objects.get().state == "recognised"
    client.force_login(person("nobody", is_staff=True))
    assert client.get(f"/admin/releases/attestation/{row.pk}/envelope/").status_code == 403


def command(*words: object) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out)
    return out.getvalue()


def test_commands_recognise_list_and_revoke_under_the_same_rules(curator: Any, tmp_path: Path) -> None:
    stranger, key = Stranger(), tmp_path / "key.pub"
    key.write_text(public_pem(stranger.signer.public_key))
    keyid = stranger.signer.public_key.keyid
    add = ("rebuilder", "add", "Lab", "--key", key, "--jurisdiction", "CA", "--by", curator, "--reason", WHY)
    assert command(*add, "--dry-run").startswith("Would be: Lab  recognised")
    assert not Rebuilder.objects.exists()
    command(*add)
    assert json.loads(command("rebuilder", "list", "--json"))[0]["keyid"] == keyid
    with pytest.raises(CommandError, match="Say in at least"):
        command("rebuilder", "revoke", keyid, "--by", curator, "--reason", "no")
    assert "revoked" in command("rebuilder", "revoke", keyid, "--by", curator, "--reason", WHY)
    for words in (("revoke", "0" * 64, "--by", curator, "--reason", WHY), (*add[1:4], tmp_path / "no", *add[5:])):
        with pytest.raises(CommandError):
            command("rebuilder", *words)


def test_a_statement_is_verified_without_rows_when_its_key_is_named(tmp_path: Path) -> None:
    stranger = Stranger()
    file, key = tmp_path / "attestation.json", tmp_path / "key.pub"
    file.write_bytes(stranger.sealed(MANIFEST, FILES, AT))
    key.write_text(public_pem(stranger.signer.public_key))
    said = command("attestation", "verify", file, "--key", key)
    assert said.startswith(f"verified  {stranger.signer.public_key.keyid}")
    assert f"{'a' * 64}  a.csv" in said
    key.write_text(public_pem(Stranger().signer.public_key))
    with pytest.raises(CommandError, match="The signature is not that of key"):
        command("attestation", "verify", file, "--key", key)


def test_commands_submit_sign_list_and_verify_by_known_keys(
    published: Release, tmp_path: Path, settings: Any
) -> None:
    lab, file = Stranger(), tmp_path / "attestation.json"
    file.write_bytes(lab.failure(published, at=timezone.now()))
    version = (published.version.dataset.identifier, published.version.shown)
    with pytest.raises(CommandError, match="is not known here"):
        command("attestation", "verify", file)
    lab.recognised(published.author)
    assert "failed" in command("attestation", "submit", file)
    assert "here already" in command("attestation", "submit", file)
    assert "the recipe ended with exit code 1" in command("attestation", "verify", file)
    with pytest.raises(CommandError, match="no key to sign with"):
        command("attestation", "sign", *version)
    settings.DFC_SIGNING_KEY = private_pem()
    command("attestation", "sign", *version)
    listed = json.loads(command("attestation", "list", *version, "--json"))
    assert [(one["rebuilder"], one["verdict"], one["counts"]) for one in listed] == [
        ("University lab", "failed", True),
        ("us", "identical", False),
    ]
    file.write_text(Attestation.objects.ours().get().envelope)
    assert command("attestation", "verify", file).startswith("verified")


def form_of(release: Release) -> str:
    return f"/en/datasets/{release.version.dataset.identifier}/{release.version.shown}/rebuild/"


def test_a_statement_is_sent_from_the_form_as_a_file_or_as_text(published: Release, client: Client) -> None:
    lab = Stranger()
    lab.recognised(published.author)
    page, statement = form_of(published), lab.provenance(published, at=timezone.now())
    assert "python3 rebuild.py --bundle http" in client.get(page).content.decode()
    answer = client.post(page, {"file": SimpleUploadedFile("attestation.json", statement)})
    assert answer.status_code == 302
    assert answer["Location"] == f"{form_of(published).removesuffix('rebuild/')}#rebuild"
    assert client.post(page, {"statement": statement.decode()}).status_code == 302
    assert Attestation.objects.get().channel == "form"


def test_a_form_says_at_the_field_what_is_wrong_and_keeps_what_was_pasted(
    published: Release, client: Client, settings: Any
) -> None:
    page, unknown = form_of(published), Stranger().failure(published, at=timezone.now()).decode()
    refused = client.post(page, {"statement": unknown})
    assert refused.status_code == 422
    assert "is not that of a rebuilder we know" in refused.content.decode()
    assert json.loads(unknown)["payload"][:40] in refused.content.decode()
    assert "one of the two" in client.post(page, {}).content.decode()
    settings.DFC_REFUSED_STATEMENTS_PER_NETWORK = 1
    busy = client.post(page, {"statement": unknown})
    assert (busy.status_code, int(busy["Retry-After"]) > 0) == (429, True)
    assert not Attestation.objects.exists()


def test_a_form_is_protected_from_other_sites_and_the_api_needs_no_token(published: Release) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(form_of(published), {"statement": "x"}).status_code == 403
    assert client.post("/api/v1/attestations/", b"x", content_type="x/y").status_code == 400


def test_rebuild_py_is_given_alone(client: Client, db: None) -> None:
    answer = client.get("/api/v1/rebuild.py")
    assert answer.content == Path("releases/bundle_files/rebuild.py").read_bytes()
    assert "attachment" in answer["Content-Disposition"]
