"""What the Internet Archive means when it does not say yes: each of its answers as one of our two failures."""

import re
from collections.abc import Mapping
from http import HTTPStatus

from mirrors.errors import MirrorRefusedError, MirrorUnavailableError

EVERYBODY_WAITS_S, DRAIN_S, SHORTLY_S = 900, 300, 60
MOST_WORDS = 300
TAG = re.compile(r"<(Code|Message|Resource)>([^<]*)</\1>")
OWN_QUEUE = re.compile(r"(bucket|accesskey)_tasks_queued|(bucket|accesskey)_ration|your own")
SPAM = "appears to be spam"
WRONG_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch"}


def failure(what: str, names: str, status: int, text: str, headers: Mapping[str, str]) -> Exception:
    """Give the error to raise for an answer; `what` was asked about, and `names` begins the keys' variables."""
    said = dict(TAG.findall(text[:10_000]))
    code, words = (
        said.get("Code", ""),
        " ".join(filter(None, (said.get("Message"), said.get("Resource"))))[:MOST_WORDS],
    )
    if code == "SlowDown" or SPAM in text:
        return slow_down(what, f"{words} {text[:MOST_WORDS]}")
    if status == HTTPStatus.UNAUTHORIZED or code in WRONG_KEYS:
        return wrong_keys(what, names)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_TIMEOUT,
    }:
        return MirrorUnavailableError(
            f"{what}: the Internet Archive answered with status {status}. It is tried again.",
            after_s=patience(headers),
        )
    if code in {"BadDigest", "IncompleteBody"}:
        return MirrorUnavailableError(
            f"{what}: its bytes were damaged on the way to the Internet Archive. It is tried again."
        )
    if status == HTTPStatus.FORBIDDEN:
        return MirrorRefusedError(
            f"{what}: the account of {names}ACCESS_KEY_ID may not write there ({words or status}). Ask the Internet "
            "Archive for the right to that collection, or leave the mirror's collection empty; then retry."
        )
    return MirrorRefusedError(
        f"{what}: the Internet Archive refused it ({code or status}: {words or 'no reason given'}). Mend that, "
        "then retry."
    )


def wrong_keys(what: str, names: str) -> MirrorRefusedError:
    return MirrorRefusedError(
        f"{what}: the Internet Archive does not know the keys. Look at {names}ACCESS_KEY_ID and "
        f"{names}SECRET_ACCESS_KEY (archive.org/account/s3.php), and start the workers again."
    )


def slow_down(what: str, text: str) -> MirrorUnavailableError | MirrorRefusedError:
    """Tell the three meanings of SlowDown apart, which the Archive tells by its text alone."""
    if SPAM in text:
        return MirrorRefusedError(
            f"{what}: the Internet Archive takes our deposits for spam, and no retry will change that. Stop the "
            "deposits to this mirror, write to info@archive.org with the account, the item and what we deposit, and "
            "retry when they have answered."
        )
    if OWN_QUEUE.search(text):
        return MirrorUnavailableError(
            f"{what}: our own tasks at the Internet Archive wait in its queue. It goes on when they are fewer.",
            after_s=DRAIN_S,
        )
    return MirrorUnavailableError(
        f"{what}: the Internet Archive is overloaded, and everybody waits. It goes on later.",
        after_s=EVERYBODY_WAITS_S,
    )


def patience(headers: Mapping[str, str]) -> int:
    """Give the seconds that an answer asks to wait, or a minute."""
    text = headers.get("Retry-After", "").strip()
    return min(int(text), 86_400) if text.isdecimal() and len(text) < 9 else SHORTLY_S  # noqa: PLR2004  digits
