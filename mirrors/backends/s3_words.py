"""What a service's refusal means for whoever runs a mirror there: the variable or the field to look at.

Codes are those of AWS and, where they differ, of Ceph, MinIO, Swift and R2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from catalog.storage.keys import EXPIRED


@dataclass(frozen=True)
class S3Place:
    """Where a mirror lies at its service, and how its operators are spoken to.

    `prefix` is empty or ends in a slash; `names` is what the names of its variables begin with.
    """

    slug: str
    bucket: str
    prefix: str
    public_url: str
    names: str
    endpoint: str = ""
    storage_class: str = ""
    checksum: str = "sha256"
    part_bytes: int = 64 << 20


KEYS = (
    "the service does not accept its keys ({finding}). Look at {names}ACCESS_KEY_ID, {names}SECRET_ACCESS_KEY and "
    "{names}SESSION_TOKEN, and start the workers again."
)
STALE = (
    "its keys have expired ({finding}). Set new ones in {names}ACCESS_KEY_ID, {names}SECRET_ACCESS_KEY and "
    "{names}SESSION_TOKEN and start the workers again, or name a program that tells new ones in "
    "{names}CREDENTIAL_PROCESS."
)
NO_KEYS = (
    "no keys came from {names}CREDENTIAL_PROCESS ({finding}). Run that command by hand: it has to write the JSON of "
    "an AWS credential_process within 30 seconds."
)
RIGHTS = (
    "its keys may not do that ({finding}). Let them read, write, list and delete below {prefix!r} of bucket "
    "{bucket!r}, or look at the three variables {names}…."
)
BUCKET = "there is no bucket {bucket!r} at {endpoint} ({finding}). Correct the mirror's bucket or endpoint."
REGION = "the bucket is elsewhere ({finding}). Correct the mirror's region or endpoint."
FULL = (
    "it takes no more: it is full, or the file is longer than it takes ({finding}). Have its quota raised, or take "
    "the dataset off its policies."
)
CLOCK = "its clock and ours differ too much ({finding}). Set the clock of this machine."
STORAGE_CLASS = "it has no such storage class ({finding}). Correct the mirror's storage class, or leave it empty."
ENDPOINT = "what answers at {endpoint} is no S3 service ({finding}). If it stays so, correct the mirror's endpoint."
OTHER = "the service refused ({finding}). Look at the mirror's fields, and run manage.py mirror doctor {slug}."
UNAVAILABLE = "{endpoint} cannot answer now ({finding}). It is tried again; if it stays so, look at its endpoint."
SENTENCES: Mapping[str, str] = {
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity"), KEYS),
    **dict.fromkeys(("Unauthorized", "401", "NotSignedUp", "AccountProblem"), KEYS),
    **dict.fromkeys(EXPIRED, STALE),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "403"), RIGHTS),
    **dict.fromkeys(("NoSuchBucket", "InvalidBucketName"), BUCKET),
    **dict.fromkeys(("PermanentRedirect", "AuthorizationHeaderMalformed", "301"), REGION),
    **dict.fromkeys(("IllegalLocationConstraintException", "InvalidRegionName"), REGION),
    **dict.fromkeys(("QuotaExceeded", "StorageQuotaExceeded", "ServiceQuotaExceeded", "EntityTooLarge"), FULL),
    **dict.fromkeys(("XMinioStorageFull", "InsufficientStorage", "InsufficientCapacity", "413"), FULL),
    "RequestTimeTooSkewed": CLOCK,
    "InvalidStorageClass": STORAGE_CLASS,
    "NoKeys": NO_KEYS,
    "NotS3": ENDPOINT,
    "PrivateAddress": "{finding}",
}


def sentence(place: S3Place, code: str, finding: str, *, usual: str) -> str:
    """Say what to do about an answer; `usual` is for one that has no sentence of its own."""
    words = {
        "finding": " ".join(finding.split()) or "no reason given",
        "names": place.names,
        "bucket": place.bucket,
        "prefix": place.prefix,
        "slug": place.slug,
        "endpoint": place.endpoint or "AWS",
    }
    return f"{place.slug}: {SENTENCES.get(code, usual).format(**words)}"


def is_full(code: str) -> bool:
    return SENTENCES.get(code) == FULL
