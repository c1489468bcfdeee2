"""Keys and statements for tests: a rebuilder that nobody else has, and what it would sign."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from releases.models import Rebuilder, Release
from releases.review import reviewed_build
from releases.statements.envelopes import public_pem, seal
from releases.statements.provenance import Run, failure_statement, provenance_statement
from releases.statements.recognise import RebuilderEntry, recognise_rebuilder

WHY = "They run their own machines."


def run(finished_at: datetime, **facts: Any) -> Run:
    given = {
        "builder_id": "https://example.org/",
        "builder_version": {},
        "invocation_id": "1",
        "started_at": finished_at - timedelta(seconds=5),
        "finished_at": finished_at,
    }
    return Run(**{**given, **facts})


@dataclass
class Stranger:
    """Somebody who rebuilds: a key, and statements about a release."""

    name: str = "University lab"
    signer: CryptoSigner = field(default_factory=lambda: CryptoSigner(Ed25519PrivateKey.generate()))

    def entry(self, **facts: str) -> RebuilderEntry:
        given = {"name": self.name, "operator_kind": "institution", "jurisdiction": "CA"}
        return RebuilderEntry(**{**given, "public_key": public_pem(self.signer.public_key), **facts})

    def recognised(self, by: Any) -> Rebuilder:
        return recognise_rebuilder(self.entry(), by=by, reason=WHY, now=datetime.now(UTC), channel="command")

    def provenance(self, release: Release, *, at: datetime, **other: str) -> bytes:
        """Sign that the published files came out, with other digests where a test says so ("" for none)."""
        subjects = outputs(release) | other
        manifest = reviewed_build(release).manifest.body
        return self.sealed(manifest, {path: sha256 for path, sha256 in subjects.items() if sha256}, at)

    def sealed(self, manifest: str, subjects: Mapping[str, str], at: datetime) -> bytes:
        return seal(provenance_statement(manifest, subjects, run(at)), self.signer)

    def failure(self, release: Release, *, at: datetime) -> bytes:
        manifest = reviewed_build(release).manifest
        return seal(failure_statement(manifest.sha256, ["the recipe ended with exit code 1"], run(at)), self.signer)

    def signed(self, document: Mapping[str, Any]) -> bytes:
        """Sign any payload at all."""
        return seal(json.dumps(document).encode(), self.signer)


def outputs(release: Release) -> dict[str, str]:
    return dict(reviewed_build(release).outputs.values_list("path", "sha256"))
