"""DSSE envelopes with one ed25519 signature: seal, open, verify. Pure; keys come as PEM texts.

1. An envelope is the JSON of DSSE v1.0: `payload` and `sig` in base64, `payloadType`, one entry in `signatures`.
2. What is signed is the pre-authentication encoding of type and payload, so neither can be exchanged.
3. A key's id is that of securesystemslib: the sha256 of the canonical JSON of type, scheme and public bytes.
4. A name that stands twice in an object is refused: two readers could read two different statements.
"""

import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

import rfc8785
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from catalog.sentences import sentence as _
from releases.errors import AttestationRefusedError, KeyTextError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
LARGEST_BYTES = 1 << 20
LONGEST_PEM = 1_000
KEYID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Opened:
    """An envelope that was read and not yet verified: what it carries, and the key that it claims."""

    envelope: Envelope
    keyid: str

    @property
    def payload(self) -> bytes:
        return bytes(self.envelope.payload)


def seal(payload: bytes, signer: CryptoSigner) -> bytes:
    """Sign a payload; the same payload and key give the same bytes (ed25519 draws nothing, RFC 8785 orders)."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return rfc8785.dumps(envelope.to_dict())


def open_envelope(text: bytes) -> Opened:
    """Read an envelope; raises AttestationRefusedError (`too_large`, `not_dsse`, `not_in_toto`)."""
    if len(text) > LARGEST_BYTES:
        raise AttestationRefusedError(
            _("It has more than %(limit)d bytes. Send one envelope alone.", limit=LARGEST_BYTES), code="too_large"
        )
    document = read_json(text)
    kind = document.get("payloadType")
    try:
        envelope = Envelope.from_dict(strict(document))
    except (ValueError, KeyError, TypeError, AttributeError, FormatError) as error:
        raise not_dsse(type(error).__name__) from error
    if kind != PAYLOAD_TYPE:
        raise AttestationRefusedError(
            _("Its payload type is not %(wanted)s. Send an in-toto statement.", wanted=PAYLOAD_TYPE),
            code="not_in_toto",
        )
    return Opened(envelope, next(iter(envelope.signatures)))


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """Give the three parts of an envelope; ValueError unless it has one signature and plain base64."""
    payload, signatures = document["payload"], document["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise ValueError("not one signature")
    signature = {"keyid": signatures[0].get("keyid", ""), "sig": signatures[0]["sig"]}
    for value in (payload, signature["sig"]):
        binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
    if not all(isinstance(value, str) for value in (signature["keyid"], document["payloadType"])):
        raise TypeError("a text is none")
    return {"payload": payload, "payloadType": document["payloadType"], "signatures": [signature]}


def read_json(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise not_dsse("no JSON") from error
    if not isinstance(document, dict):
        raise not_dsse("no object")
    return document


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; ValueError for a name that stands twice."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")
    return made


def not_dsse(finding: str) -> AttestationRefusedError:
    words = _(
        "It is not a DSSE envelope with one signature (%(finding)s). Send what rebuild.py --attest wrote.",
        finding=finding,
    )
    return AttestationRefusedError(words, code="not_dsse")


def verify(opened: Opened, key: SSlibKey) -> None:
    """Raise AttestationRefusedError (`bad_signature`) unless this key signed exactly these bytes."""
    try:
        opened.envelope.verify([key], 1)
    except (VerificationError, ValueError) as error:
        raise AttestationRefusedError(
            _(
                "The signature is not that of key %(keyid)s over this payload. Sign it, and do not change it after.",
                keyid=key.keyid,
            ),
            code="bad_signature",
        ) from error


def read_public_key(pem: str) -> SSlibKey:
    """Read an ed25519 public key; raises KeyTextError for any other text."""
    try:
        key = load_pem_public_key(pem[:LONGEST_PEM].encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyTextError(_("It is no public key in PEM. Write what rebuild.py keygen printed.")) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyTextError(_("It is no ed25519 key. Make one with rebuild.py keygen."))
    return SSlibKey.from_crypto(key)


def public_pem(key: SSlibKey) -> str:
    """Write a public key as PEM in one way only."""
    raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    return raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_signer(pem: str) -> CryptoSigner:
    """Read an ed25519 private key (PKCS 8, without a password); raises KeyTextError, which never repeats it."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyTextError(_("It is no private key in PEM without a password.")) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyTextError(_("It is no ed25519 key. Make one with rebuild.py keygen."))
    return CryptoSigner(key)
