"""Sign what a rebuild gave: an in-toto statement in a DSSE envelope. rebuild.py calls this; it needs Python alone.

    python3 rebuild.py keygen FILE                # make a key once; send what is printed to the curators
    python3 rebuild.py --out DIR --attest FILE    # rebuild, compare, and write attestation.json beside DIR

The statement says which files came out *here*, with their sha256, and when; the portal compares them with what it
published. It names no machine, no person and no folder.
"""

import base64
import binascii
import hashlib
import json
import os
import platform
import stat
import uuid
from datetime import datetime, timezone

BUILDER = "https://dataforcanada.org/builders/rebuild.py/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PROVENANCE, TEST_RESULT = "https://slsa.dev/provenance/v1", "https://in-toto.io/attestation/test-result/v0.1"
PRIVATE_DER = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410: PKCS 8 around a seed of 32 bytes
PUBLIC_DER = bytes.fromhex("302a300506032b6570032100")
SEED_BYTES = 32
BLOCK = 1 << 20


class KeyUnusable(Exception):
    """Why a key cannot be used; the message is for people and never repeats the key."""


# Keys


def keygen(path):
    """Make a key that only its owner may read, and print its public half; a file that is there is left alone."""
    seed = os.urandom(SEED_BYTES)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(pem("PRIVATE", PRIVATE_DER + seed))
        os.link(unfinished, path)
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be made ({error.strerror}). Name a file that is not there.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    public = public_of(seed)
    print(pem("PUBLIC", PUBLIC_DER + public), end="")
    print(f"Key id: {keyid_of(public)}")


def read_seed(path):
    """Read a private key; raises KeyUnusable where others may read it, or where it is no ed25519 key in PKCS 8."""
    try:
        mode, lines = path.stat().st_mode, path.read_text(encoding="ascii").split("\n")
    except (OSError, ValueError) as error:
        raise KeyUnusable(f"the key {path} cannot be read. Make one with rebuild.py keygen FILE.") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyUnusable(f"others may read the key {path}. Run chmod 600 {path}.")
    try:
        body = base64.b64decode("".join(line for line in lines if not line.startswith("-----")))
    except binascii.Error:
        body = b""
    if len(body) != len(PRIVATE_DER) + SEED_BYTES or not body.startswith(PRIVATE_DER):
        raise KeyUnusable(f"{path} is no ed25519 key without a password. Make one with rebuild.py keygen FILE.")
    return body[-SEED_BYTES:]


def pem(kind, body):
    return f"-----BEGIN {kind} KEY-----\n{base64.b64encode(body).decode()}\n-----END {kind} KEY-----\n"


def keyid_of(public):
    """Name a key as securesystemslib does: the sha256 of its canonical JSON."""
    return hashlib.sha256(
        canonical({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public.hex()}}).encode()
    ).hexdigest()


# Statements


def canonical(document):
    """Write RFC 8785 JSON of what has texts alone: names in order, nothing escaped that need not be."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def run_details(started_at, code):
    """Say by what it was built and when; `code` is the git tree of the code as it lay here."""
    version = {
        "rebuild.py": "1",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    metadata = {"invocationId": str(uuid.uuid4()), "startedOn": shown(started_at), "finishedOn": shown(now())}
    return {
        "builder": {"id": BUILDER, "version": version},
        "byproducts": [{"name": "code", "digest": {"gitTree": code}}],
        "metadata": metadata,
    }


def provenance(manifest, files, run):
    """State which files came out of a manifest; its text stands in the statement as it is, for it is canonical."""
    predicate = f'{{"buildDefinition":{manifest},"runDetails":{canonical(run)}}}'
    return statement(files, PROVENANCE, predicate)


def failure(manifest, failed, run):
    """State that a manifest gave no files, and what failed."""
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    predicate = {
        "result": "FAILED",
        "configuration": [{"name": "manifest.json", "digest": {"sha256": digest}}],
        "failedTests": [failed],
        "runDetails": run,
    }
    return statement({"manifest.json": digest}, TEST_RESULT, canonical(predicate))


def statement(files, kind, predicate):
    subject = [{"name": path, "digest": {"sha256": files[path]}} for path in sorted(files)]
    return (
        f'{{"_type":"https://in-toto.io/Statement/v1","predicate":{predicate},'
        f'"predicateType":{canonical(kind)},"subject":{canonical(subject)}}}'
    )


def envelope(text, seed):
    """Sign a statement: the DSSE envelope as JSON."""
    payload = text.encode()
    encoded = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    signature = {"keyid": keyid_of(public_of(seed)), "sig": base64.b64encode(sign(seed, encoded)).decode()}
    parts = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
    return canonical(parts)


def now():
    return datetime.now(timezone.utc)  # noqa: UP017  an older Python says what it lacks, in words


def shown(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def git_tree(folder):
    """Give the id of the git tree that a folder's files make, so that a statement tells changed code from other."""
    entries = []
    for path in folder.iterdir():
        name = os.fsencode(path.name)
        if path.is_symlink():
            entries.append((name, b"120000", git_object(b"blob", os.fsencode(os.readlink(path)))))  # noqa: PTH115  Path would respell it
        elif path.is_dir():
            tree = git_tree(path)
            entries.append((name + b"/", b"40000", tree)) if tree else None
        else:
            mode = b"100755" if path.stat().st_mode & stat.S_IXUSR else b"100644"
            entries.append((name, mode, git_object(b"blob", path.read_bytes())))
    body = b"".join(b"%b %b\0%b" % (mode, name.rstrip(b"/"), digest) for name, mode, digest in sorted(entries))
    return git_object(b"tree", body) if entries else b""


def git_object(kind, content):
    return hashlib.sha1(b"%b %d\0%b" % (kind, len(content), content), usedforsecurity=False).digest()


# Ed25519, by RFC 8032 section 5.1. It signs on the rebuilder's own machine and does not hide how long it takes.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE_Y = 4 * pow(5, -1, P) % P
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
NEUTRAL = (0, 1, 1, 0)


def add(one, other):
    """Add two points in extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z."""
    a, b = (one[1] - one[0]) * (other[1] - other[0]), (one[1] + one[0]) * (other[1] + other[0])
    c, d = 2 * one[3] * other[3] * D, 2 * one[2] * other[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(number, point):
    total = NEUTRAL
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def compress(point):
    """Write a point as 32 bytes: y, little-endian, with the lowest bit of x on top."""
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def expand(seed):
    """Give the secret number and the prefix that a seed stands for."""
    digest = hashlib.sha512(seed).digest()
    number = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    return number, digest[32:]


def public_of(seed):
    return compress(multiply(expand(seed)[0], BASE))


def sign(seed, message):
    number, prefix = expand(seed)
    public = compress(multiply(number, BASE))
    r = hashed(prefix, message)
    point = compress(multiply(r, BASE))
    return point + ((r + hashed(point, public, message) * number) % ORDER).to_bytes(32, "little")


def hashed(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER
