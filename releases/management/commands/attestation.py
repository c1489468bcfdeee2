"""`manage.py attestation`: verify, submit, sign and list signed statements about builds."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from securesystemslib.signer import SSlibKey

from catalog.management.rows import ActsCommand, Rows
from releases.find import find_release
from releases.management.acts import add_version
from releases.models import Rebuilder, Release, SigningKey
from releases.models.attestation import Attestation, Channel
from releases.statements.attest import accept_attestation
from releases.statements.envelopes import KEYID, open_envelope, read_public_key, verify
from releases.statements.provenance import read_statement, shown
from releases.statements.rebuilds import rebuilds_of
from releases.statements.sign import sign_release


class Command(ActsCommand):
    help = "Verify, submit, sign and list signed statements about builds."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        verifying = acts.add_parser("verify", help="check a statement's signature and say what it states")
        verifying.add_argument("file", type=Path)
        verifying.add_argument(
            "--key", type=Path, metavar="PEM", help="public key (default: the one that is known here)"
        )
        acts.add_parser("submit", help="keep a rebuilder's statement").add_argument("file", type=Path)
        add_version(acts.add_parser("sign", help="sign our own provenance of a public version, unless it is there"))
        add_version(acts.add_parser("list", help="show what is stated about a version"))
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true")

    def act_verify(self, options: dict[str, Any]) -> Rows:
        opened = open_envelope(content(options["file"]))
        key = (
            read_public_key(content(options["key"]).decode("utf-8", "replace"))
            if options["key"]
            else known_key(opened.keyid)
        )
        verify(opened, key)
        statement = read_statement(opened.payload)
        facts = [
            {"result": "verified", "key": key.keyid},
            {"kind": statement.predicate_type, "at": shown(statement.finished_at)},
        ]
        files = [{"sha256": digest, "path": path} for path, digest in statement.subjects.items()]
        return [
            *facts,
            {"manifest": statement.manifest_sha256},
            *files,
            *({"failed": one} for one in statement.failed_tests),
        ]

    def act_submit(self, options: dict[str, Any]) -> Rows:
        accepted = accept_attestation(content(options["file"]), now=timezone.now(), channel=Channel.COMMAND)
        return [described(accepted.attestation) | {"is": "new" if accepted.is_new else "here already"}]

    def act_sign(self, options: dict[str, Any]) -> Rows:
        release = find_release(options["dataset"], options["number"])
        if release.state != Release.State.PUBLISHED:
            raise CommandError(f"{release}: it is not published. Its publication signs it by itself.")
        return [described(sign_release(release, now=timezone.now(), channel=Channel.COMMAND))]

    def act_list(self, options: dict[str, Any]) -> Rows:
        found = rebuilds_of(find_release(options["dataset"], options["number"]).version)
        ours = [found.ours] if found.ours else []
        counted = [described(one) | {"counts": True} for one in found.counted]
        return [*counted, *(described(one) | {"counts": False} for one in (*ours, *found.others))]


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror}). Name a file.") from error


def known_key(keyid: str) -> SSlibKey:
    """Give the key of that id among those of rebuilders and ours; raises CommandError where there is none."""
    for rows in (Rebuilder.objects, SigningKey.objects):
        pem = (
            rows.filter(keyid=keyid).values_list("public_key", flat=True).first() if KEYID.fullmatch(keyid) else None
        )
        if pem:
            return read_public_key(pem)
    raise CommandError(f"Key {keyid[:64]} is not known here. Name its public key with --key.")


def described(one: Attestation) -> dict[str, Any]:
    return {
        "verdict": one.verdict,
        "rebuilder": one.rebuilder.name if one.rebuilder else "us",
        "finished_at": shown(one.finished_at),
        "sha256": one.sha256,
    }
