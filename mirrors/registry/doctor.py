"""Look at a mirror before it is used: what its service can do, and what the public gets. Nothing is left there."""

from collections.abc import Callable, Iterator, Mapping
from uuid import uuid4

from django.conf import settings

from catalog.addresses import networks
from mirrors.backends.s3_doctor import CONTENT, FIRST, LAST, S3Doctor, Symptom
from mirrors.checks.knock import Reply, knock
from mirrors.connect import open_internet_archive, open_s3
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from mirrors.models import Mirror

OK, PARTIAL = 200, 206
ORIGIN = "https://stac.example.org"


def has_doctor(mirror: Mirror) -> bool:
    return mirror.kind in DOCTORS


def examine(mirror: Mirror, *, folder: str = "") -> list[Symptom]:
    """Try what a mirror needs, one row each; a mirror that cannot be opened at all is one bad row.

    What is made there lies in `folder` until it is removed; who names the same one again after a kill tidies it too.
    Raises MirrorRefusedError for a kind that has no doctor.
    """
    if not has_doctor(mirror):
        raise MirrorRefusedError(
            f"{mirror.slug}: there is no doctor for mirrors of kind {mirror.kind}. Try manage.py mirror probe."
        )
    return list(symptoms(mirror, folder or new_folder()))


def symptoms(mirror: Mirror, folder: str) -> Iterator[Symptom]:
    try:
        yield from DOCTORS[mirror.kind](mirror, folder)
    except (MirrorRefusedError, MirrorUnavailableError) as error:
        yield Symptom("open", "bad", str(error))


def new_folder() -> str:
    return f"dfc-doctor-{uuid4().hex}"


def examine_s3(mirror: Mirror, folder: str) -> Iterator[Symptom]:
    backend = open_s3(mirror)
    doctor = S3Doctor(backend.objects, folder)
    is_written = False
    try:
        for symptom in doctor.look():
            is_written |= symptom == Symptom("write", "good", symptom.finding)
            yield symptom
        if is_written:
            yield from public_symptoms(mirror, backend.url(doctor.locator))
    finally:
        cleaned = doctor.clean()  # also where nothing was said to be written: an answer may have been lost
    if is_written:
        yield cleaned


def examine_internet_archive(mirror: Mirror, _folder: str) -> Iterator[Symptom]:
    """Nothing is written there, since an item can never be taken back."""
    for what, finding in open_internet_archive(mirror).examine():
        yield Symptom(what, "bad", finding) if finding else Symptom(what, "good", GOOD[what])


def public_symptoms(mirror: Mirror, url: str) -> Iterator[Symptom]:
    """Ask the public address of the object for a range, as a browser of another site does."""
    headers = {"Range": f"bytes={FIRST}-{LAST}", "Origin": ORIGIN}
    try:
        reply = knock(
            "GET", url, headers=headers, most_bytes=len(CONTENT) + 1, allowed=networks(settings.DFC_PRIVATE_NETWORKS)
        )
    except (MirrorRefusedError, MirrorUnavailableError) as error:
        yield Symptom("public", "bad", str(error))
        return
    yield public(url, reply)
    if reply.status in {OK, PARTIAL}:
        yield public_range(mirror, reply)
        yield cors(mirror, reply)


def public(url: str, reply: Reply) -> Symptom:
    if reply.status == OK and reply.body == CONTENT:
        return Symptom("public", "good", "Anybody gets an object at the public address.")
    if reply.status == PARTIAL and reply.body == CONTENT[FIRST : LAST + 1]:
        return Symptom("public", "good", "Anybody gets an object at the public address.")
    return Symptom(
        "public",
        "bad",
        f"{url} answered with status {reply.status} and {len(reply.body)} bytes, not with the object. Correct the "
        "mirror's public address or prefix, or let everybody read the bucket.",
    )


def public_range(mirror: Mirror, reply: Reply) -> Symptom:
    if reply.status == PARTIAL:
        return Symptom("public-range", "good", "The public address gives ranges.")
    advice = " Say in the registry that it does not answer ranges." if mirror.has_range else ""
    return Symptom("public-range", "weak", f"The public address gives no ranges.{advice}")


def cors(mirror: Mirror, reply: Reply) -> Symptom:
    if reply.headers.get("access-control-allow-origin") in {"*", ORIGIN}:
        return Symptom("cors", "good", "Browsers may read from it (CORS).")
    advice = " Add a rule to the bucket, or say so in the registry." if mirror.has_cors else ""
    return Symptom("cors", "weak", f"Pages of other sites may not read from it (CORS).{advice}")


GOOD = {
    "keys": "The Internet Archive knows the account of the keys.",
    "queue": "It would take files now.",
    "collection": "The collection exists, or none is named. Whether we may write to it shows with the first item.",
}
DOCTORS: Mapping[str, Callable[[Mirror, str], Iterator[Symptom]]] = {
    Mirror.Kind.S3: examine_s3,
    Mirror.Kind.INTERNET_ARCHIVE: examine_internet_archive,
}
