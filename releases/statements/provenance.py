"""Statements about builds: in-toto Statement v1, with what was made or with what failed. Pure.

1. Who built files says so with SLSA provenance v1: subjects are the files that *came out there*, `buildDefinition` is
   the manifest, and times stand in `runDetails` alone. Whether they are the published files is for the reader to see.
2. Who got no files says so with the in-toto predicate test-result v0.1: FAILED, the manifest as `configuration`, and
   in `failedTests` what failed. It has `runDetails` of the same shape, since the predicate itself has no times.
3. Subjects are sorted by name, every statement is written as RFC 8785 JSON, and everything that is read is bounded.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785
from google.protobuf.json_format import ParseDict, ParseError
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI
from in_toto_attestation.v1.statement import Statement as InTotoStatement

from catalog.sentences import sentence as _
from releases.errors import AttestationRefusedError
from releases.statements.envelopes import once

PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SHAPES = {PROVENANCE: provenance_pb2.Provenance, TEST_RESULT: test_result_pb2.TestResult}
MANIFEST_NAME = "manifest.json"
MOST_SUBJECTS, MOST_TESTS = 10_000, 20
LONGEST_NAME, LONGEST_TEST = 255, 300
SHA256, TREE = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Run:
    """Who built, and when: the only times of a statement. `byproducts` are ResourceDescriptors."""

    builder_id: str
    builder_version: Mapping[str, str]
    invocation_id: str
    started_at: datetime
    finished_at: datetime
    byproducts: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Statement:
    """A statement as it was read. `subjects` are digests by path, and `failed_tests` says what failed instead.

    `manifest_sha256` names what was built; `claims` is the dataset and version in the manifest that it carries.
    `code_tree` is the git tree that lay there as code, empty where the statement does not say.
    """

    predicate_type: str
    subjects: Mapping[str, str]
    failed_tests: tuple[str, ...]
    manifest_sha256: str
    claims: tuple[str, str]
    code_tree: str
    started_at: datetime
    finished_at: datetime


def provenance_statement(manifest: str, subjects: Mapping[str, str], run: Run) -> bytes:
    """State that a manifest was built and which files came out: digests by path, at least one."""
    predicate = {"buildDefinition": json.loads(manifest), "runDetails": run_details(run)}
    return statement(PROVENANCE, subjects, predicate)


def failure_statement(manifest_sha256: str, failed_tests: Sequence[str], run: Run) -> bytes:
    """State that a manifest was built and gave no files; the subject is the manifest, since nothing came out."""
    descriptor = {"name": MANIFEST_NAME, "digest": {"sha256": manifest_sha256}}
    predicate = {
        "result": "FAILED",
        "configuration": [descriptor],
        "failedTests": list(failed_tests),
        "runDetails": run_details(run),
    }
    return statement(TEST_RESULT, {MANIFEST_NAME: manifest_sha256}, predicate)


def statement(predicate_type: str, subjects: Mapping[str, str], predicate: Mapping[str, Any]) -> bytes:
    document = {
        "_type": STATEMENT_TYPE_URI,
        "subject": [{"name": path, "digest": {"sha256": subjects[path]}} for path in sorted(subjects)],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }
    check_shape(document)
    return rfc8785.dumps(document)


def run_details(run: Run) -> dict[str, Any]:
    details: dict[str, Any] = {
        "builder": {"id": run.builder_id, "version": dict(run.builder_version)},
        "metadata": {
            "invocationId": run.invocation_id,
            "startedOn": shown(run.started_at),
            "finishedOn": shown(run.finished_at),
        },
    }
    return details | ({"byproducts": [dict(one) for one in run.byproducts]} if run.byproducts else {})


def shown(instant: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, to the second."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_statement(payload: bytes) -> Statement:
    """Read a statement of one of the two kinds.

    Raises AttestationRefusedError: `not_in_toto`, `unknown_predicate`, or `malformed` with what is wrong in it.
    """
    document = parse(payload)
    predicate_type = document.get("predicateType")
    if predicate_type not in tuple(SHAPES):  # compared, since JSON brings what has no hash
        raise AttestationRefusedError(
            _(
                "Its predicate is neither %(one)s nor %(other)s. Send one of these.",
                one=PROVENANCE,
                other=TEST_RESULT,
            ),
            code="unknown_predicate",
        )
    try:
        check_shape(document)
        read = read_provenance if predicate_type == PROVENANCE else read_failure
        return read(document["predicate"], subjects_of(document["subject"]))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, ParseError, RecursionError) as error:
        finding = " ".join(str(error).split())[:200]
        raise AttestationRefusedError(
            _(
                "It is no well-formed statement of that kind (%(finding)s). Read docs/attestations.md.",
                finding=finding,
            ),
            code="malformed",
        ) from error


def parse(payload: bytes) -> dict[str, Any]:
    """Read the JSON of an in-toto Statement v1; raises AttestationRefusedError for any other payload."""
    try:
        document = json.loads(payload.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("_type") != STATEMENT_TYPE_URI:
        raise AttestationRefusedError(
            _("Its payload is no %(wanted)s. Send an in-toto statement.", wanted=STATEMENT_TYPE_URI),
            code="not_in_toto",
        )
    return document


def check_shape(document: Mapping[str, Any]) -> None:
    """Raise ValueError or ParseError unless the statement and its predicate have the shape of their definitions."""
    parsed = ParseDict(dict(document), statement_pb2.Statement(), ignore_unknown_fields=True)
    InTotoStatement.copy_from_pb(parsed).validate()
    shape = SHAPES[document["predicateType"]]
    ParseDict(document["predicate"], shape(), ignore_unknown_fields=True)


def subjects_of(subjects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    if len(subjects) > MOST_SUBJECTS:
        raise ValueError(f"more than {MOST_SUBJECTS} subjects")
    found = {clean(one["name"], LONGEST_NAME): digest_of(one) for one in subjects}
    if len(found) != len(subjects):
        raise ValueError("a subject stands twice")
    return found


def digest_of(descriptor: Mapping[str, Any]) -> str:
    digest = descriptor["digest"]["sha256"]
    if not isinstance(digest, str) or not SHA256.fullmatch(digest):
        raise ValueError("a digest is no sha256 in lower-case hex")
    return digest


def clean(text: object, longest: int) -> str:
    """Give a text that may be kept and shown; ValueError where it is empty, too long or has control characters."""
    if not isinstance(text, str) or not 0 < len(text) <= longest:
        raise ValueError(f"a name is missing or longer than {longest}")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("a name has control characters")
    return text


def read_provenance(predicate: Mapping[str, Any], subjects: Mapping[str, str]) -> Statement:
    manifest = rfc8785.dumps(predicate["buildDefinition"])
    external = predicate["buildDefinition"]["externalParameters"]
    return Statement(
        predicate_type=PROVENANCE,
        subjects=subjects,
        failed_tests=(),
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        claims=(clean(external.get("dataset"), LONGEST_NAME), clean(external.get("version"), LONGEST_NAME)),
        code_tree=code_tree_of(predicate["runDetails"]),
        **times_of(predicate["runDetails"]),
    )


def read_failure(predicate: Mapping[str, Any], subjects: Mapping[str, str]) -> Statement:
    """Read a failed test; one that passed is refused, since it names no files to compare."""
    if predicate["result"] != "FAILED":
        raise ValueError("a result other than FAILED names no files; sign provenance over yours")
    (configuration,) = predicate["configuration"]
    if dict(subjects) != {MANIFEST_NAME: digest_of(configuration)}:
        raise ValueError(f"its one subject is not the {MANIFEST_NAME} of its configuration")
    tests = predicate["failedTests"]
    if not isinstance(tests, list) or not 0 < len(tests) <= MOST_TESTS:
        raise ValueError(f"failedTests is no list of 1 to {MOST_TESTS} texts")
    return Statement(
        predicate_type=TEST_RESULT,
        subjects={},
        failed_tests=tuple(clean(test, LONGEST_TEST) for test in tests),
        manifest_sha256=digest_of(configuration),
        claims=("", ""),
        code_tree=code_tree_of(predicate["runDetails"]),
        **times_of(predicate["runDetails"]),
    )


def code_tree_of(run: Mapping[str, Any]) -> str:
    """Give the git tree of the byproduct `code`; ValueError for one that is no tree."""
    trees = [one["digest"]["gitTree"] for one in run.get("byproducts", []) if one.get("name") == "code"]
    if not trees:
        return ""
    if len(trees) != 1 or not TREE.fullmatch(trees[0]):
        raise ValueError("the byproduct code is no git tree")
    return str(trees[0])


def times_of(run: Mapping[str, Any]) -> dict[str, datetime]:
    started, finished = (instant(run["metadata"][name]) for name in ("startedOn", "finishedOn"))
    if started > finished:
        raise ValueError("startedOn is after finishedOn")
    return {"started_at": started, "finished_at": finished}


@dataclass(frozen=True)
class Difference:
    """One file that did not come out as published; an empty digest means that it was not there on that side."""

    path: str
    published_sha256: str
    sha256: str


def differences(published: Mapping[str, str], subjects: Mapping[str, str]) -> list[Difference]:
    """Compare digests by path; gives what is not the same on both sides, sorted by path."""
    paths = sorted(published.keys() | subjects.keys())
    both = (Difference(path, published.get(path, ""), subjects.get(path, "")) for path in paths)
    return [one for one in both if one.published_sha256 != one.sha256]


def instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time has no zone")
    return found.astimezone(UTC)
