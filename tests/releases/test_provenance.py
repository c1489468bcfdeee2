"""Statements and envelopes: their bytes, what is read back, and every way in which one is refused."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from releases.errors import AttestationRefusedError, KeyTextError
from releases.statements import envelopes, provenance
from releases.statements.provenance import Difference, differences
from tests.releases.keys import private_pem
from tests.releases.signing import Stranger, run

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
MANIFEST = rfc8785.dumps(
    {
        "buildType": "https://example.org/build/v1",
        "externalParameters": {"dataset": "ca_words", "version": "1.0.0", "parameters": {"share": 0.5}},
        "internalParameters": {"python": "3.11"},
        "resolvedDependencies": [{"name": "code", "digest": {"gitCommit": "a" * 40}}],
    }
).decode()
FILES = {"b.csv": "b" * 64, "a.csv": "a" * 64}


def document() -> Any:
    return json.loads(provenance.provenance_statement(MANIFEST, FILES, run(AT)))


def failed() -> Any:
    return json.loads(provenance.failure_statement("c" * 64, ["the recipe ended with exit code 1"], run(AT)))


def code_of(act: Callable[[], Any]) -> Any:
    with pytest.raises(AttestationRefusedError) as refused:
        act()
    return refused.value.facts["code"]


def test_a_statement_is_slsa_provenance_over_sorted_subjects_with_times_in_run_details_alone() -> None:
    made = document()
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [one["name"] for one in made["subject"]] == ["a.csv", "b.csv"]
    assert rfc8785.dumps(made["predicate"]["buildDefinition"]).decode() == MANIFEST
    metadata = made["predicate"]["runDetails"].pop("metadata")
    assert metadata == {
        "invocationId": "1",
        "startedOn": "2026-03-01T11:59:55Z",
        "finishedOn": "2026-03-01T12:00:00Z",
    }
    assert "2026-03" not in json.dumps(made)


def test_a_statement_is_read_back_with_the_name_of_its_manifest() -> None:
    read = provenance.read_statement(provenance.provenance_statement(MANIFEST, FILES, run(AT)))
    assert read.subjects == FILES
    assert read.manifest_sha256 == hashlib.sha256(MANIFEST.encode()).hexdigest()
    assert (read.claims, read.finished_at, read.failed_tests) == (("ca_words", "1.0.0"), AT, ())


def test_a_failed_build_is_a_test_result_about_its_manifest() -> None:
    made = failed()
    assert made["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert (made["predicate"]["result"], made["subject"]) == ("FAILED", made["predicate"]["configuration"])
    read = provenance.read_statement(json.dumps(made).encode())
    assert (read.failed_tests, read.manifest_sha256) == (("the recipe ended with exit code 1",), "c" * 64)


def test_the_same_statement_and_key_make_the_same_envelope() -> None:
    stranger = Stranger()
    assert stranger.sealed(MANIFEST, FILES, AT) == stranger.sealed(MANIFEST, dict(sorted(FILES.items())), AT)


def test_an_envelope_verifies_with_ed25519_alone_as_dsse_says() -> None:
    stranger = Stranger()
    sealed = json.loads(stranger.sealed(MANIFEST, FILES, AT))
    payload = base64.b64decode(sealed["payload"])
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    key: Any = load_pem_public_key(envelopes.public_pem(stranger.signer.public_key).encode())
    key.verify(base64.b64decode(sealed["signatures"][0]["sig"]), signed)


def test_differences_are_by_path_and_say_which_side_has_what() -> None:
    published = {"a": "1", "b": "2", "c": "3"}
    assert differences(published, {"c": "4", "a": "1", "d": "5"}) == [
        Difference("b", "2", ""),
        Difference("c", "3", "4"),
        Difference("d", "", "5"),
    ]
    assert differences(published, dict(published)) == []


def sealed_with(**changes: Any) -> bytes:
    envelope = json.loads(Stranger().sealed(MANIFEST, FILES, AT))
    return json.dumps(envelope | changes).encode()


def twice() -> bytes:
    envelope = json.loads(Stranger().sealed(MANIFEST, FILES, AT))
    return sealed_with(signatures=envelope["signatures"] * 2)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"{}", "not_dsse"),
        (b"[]", "not_dsse"),
        (b"\xff", "not_dsse"),
        (b"[" * 100_000, "not_dsse"),
        (b'{"payload":"","payload":"","payloadType":"","signatures":[]}', "not_dsse"),
        (sealed_with(payload="%%%%"), "not_dsse"),
        (sealed_with(payload=1), "not_dsse"),
        (sealed_with(payload="é"), "not_dsse"),
        (sealed_with(payloadType=3), "not_dsse"),
        (sealed_with(signatures=[]), "not_dsse"),
        (sealed_with(signatures=[1]), "not_dsse"),
        (sealed_with(signatures=[{"keyid": [], "sig": "AAAA"}]), "not_dsse"),
        (twice(), "not_dsse"),
        (sealed_with(payloadType="text/plain"), "not_in_toto"),
        (b" " * (envelopes.LARGEST_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_envelope_of_ours_is_refused_with_a_code(text: bytes, code: str) -> None:
    assert code_of(lambda: envelopes.open_envelope(text)) == code


def test_a_changed_payload_type_or_payload_breaks_the_signature() -> None:
    stranger = Stranger()
    opened = envelopes.open_envelope(stranger.sealed(MANIFEST, FILES, AT))
    envelopes.verify(opened, stranger.signer.public_key)
    assert code_of(lambda: envelopes.verify(opened, Stranger().signer.public_key)) == "bad_signature"
    opened.envelope.payload += b" "
    assert code_of(lambda: envelopes.verify(opened, stranger.signer.public_key)) == "bad_signature"


def other(path: str, value: Any, made: Callable[[], Any] = document) -> Callable[[], Any]:
    """Give a statement with one place changed."""

    def changed() -> Any:
        statement = made()
        *way, last = path.split(".")
        place = statement
        for name in way:
            place = place[int(name) if name.isdigit() else name]
        place[int(last) if last.isdigit() else last] = value
        return statement

    return changed


METADATA = "predicate.runDetails.metadata"


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (list, "not_in_toto"),
        (other("_type", "https://in-toto.io/Statement/v0.1"), "not_in_toto"),
        (other("predicateType", "https://example.org/"), "unknown_predicate"),
        (other("predicateType", ["x"]), "unknown_predicate"),
        (other("subject", []), "malformed"),
        (other("subject.0.name", ""), "malformed"),
        (other("subject.0.name", "a\nb"), "malformed"),
        (other("subject.0.name", "a\0b"), "malformed"),
        (other("subject.0.name", "x" * 256), "malformed"),
        (other("subject.0.name", "b.csv"), "malformed"),
        (other("subject.0.name", 7), "malformed"),
        (other("subject.0.digest", {"sha256": "A" * 64}), "malformed"),
        (other("subject.0.digest", {"md5": "a" * 32}), "malformed"),
        (other("predicate", {}), "malformed"),
        (other("predicate.buildDefinition", 5), "malformed"),
        (other("predicate.buildDefinition.externalParameters", {}), "malformed"),
        (other("predicate.buildDefinition.externalParameters.dataset", 2**60), "malformed"),
        (other("predicate.runDetails", None), "malformed"),
        (other(f"{METADATA}.finishedOn", "yesterday"), "malformed"),
        (other(f"{METADATA}.finishedOn", "2026-03-01T11:00:00Z"), "malformed"),
        (other(f"{METADATA}.startedOn", None), "malformed"),
        (other("predicate.runDetails.byproducts", [{"name": "code", "digest": {"gitTree": "x"}}]), "malformed"),
        (other("predicate.result", "PASSED", failed), "malformed"),
        (other("predicate.configuration", [], failed), "malformed"),
        (other("predicate.failedTests", [], failed), "malformed"),
        (other("predicate.failedTests", ["x"] * 21, failed), "malformed"),
        (other("predicate.failedTests", ["\u0007"], failed), "malformed"),
        (other("subject.0.digest.sha256", "d" * 64, failed), "malformed"),
    ],
)
def test_what_is_no_statement_of_the_two_kinds_is_refused_with_a_code(made: Callable[[], Any], code: str) -> None:
    payload = json.dumps(made()).encode()
    assert code_of(lambda: provenance.read_statement(payload)) == code


def test_a_lone_surrogate_in_a_name_is_refused() -> None:
    payload = json.dumps(document()).replace("a.csv", "\\ud800").encode()
    assert code_of(lambda: provenance.read_statement(payload)) == "malformed"


def test_more_subjects_than_anybody_publishes_are_refused() -> None:
    many = {f"{number:05}": "a" * 64 for number in range(provenance.MOST_SUBJECTS + 1)}
    payload = provenance.provenance_statement(MANIFEST, many, run(AT))
    assert code_of(lambda: provenance.read_statement(payload)) == "malformed"


def test_only_ed25519_keys_are_keys() -> None:
    elliptic = generate_private_key(SECP256R1()).public_key()
    pem = elliptic.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text in ("", "no key", pem, private_pem()):
        with pytest.raises(KeyTextError):
            envelopes.read_public_key(text)
    for text in ("", "no key", pem):
        with pytest.raises(KeyTextError):
            envelopes.read_signer(text)
