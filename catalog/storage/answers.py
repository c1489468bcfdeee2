"""What an S3-compatible service means when it refuses: each of its failures as one of ours.

The sentences speak of our own storage. Who keeps a mirror at such a service makes sentences of its own from the facts
of an error: its `finding` and, where the service gave one, its `code`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.parsers import ResponseParserError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from catalog.addresses import AddressRefusedError, NameUnknownError
from catalog.errors import PersonMustActError, StewardshipError, TryLaterError
from catalog.storage.base import StorageRefusedError, StorageUnavailableError
from catalog.storage.files import FileBusyError


class UploadGoneError(TryLaterError):
    """The service knows the upload no more: it was finished, dropped, or grew too old."""


class AlreadyThereError(PersonMustActError):
    """A file that must never be replaced has been there already."""


class BehindTheEndError(PersonMustActError):
    """A range that begins where the file has ended already."""


NO_KEYS, NOT_S3, PRIVATE = "NoKeys", "NotS3", "PrivateAddress"  # codes of ours, where no answer came that has one
UNAVAILABLE = (
    *("RequestTimeout", "SlowDown", "OperationAborted", "ConditionalRequestConflict", "TooManyRequests"),
    *(
        "BadDigest",
        "IncompleteBody",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
    ),  # damaged on the way
)
Kind = type[StewardshipError] | type[FileNotFoundError]
BY_CODE: Mapping[str, Kind] = {
    **dict.fromkeys(UNAVAILABLE, StorageUnavailableError),
    **dict.fromkeys(("NoSuchKey", "NotFound", "404"), FileNotFoundError),
    "NoSuchUpload": UploadGoneError,
    "InvalidPart": FileBusyError,
    "NotImplemented": StorageRefusedError,
}
BY_STATUS: Mapping[int, Kind] = {
    HTTPStatus.REQUEST_TIMEOUT: StorageUnavailableError,
    HTTPStatus.CONFLICT: StorageUnavailableError,
    HTTPStatus.PRECONDITION_FAILED: AlreadyThereError,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: BehindTheEndError,
    HTTPStatus.TOO_MANY_REQUESTS: StorageUnavailableError,
}
SENTENCES: Mapping[Kind, Promise] = {
    UploadGoneError: _("%(name)s: the storage no longer knows this upload. It begins again."),
    FileBusyError: _("%(name)s: another process is writing it. It is tried again in a moment."),
    AlreadyThereError: _("%(name)s: it is there already and may not be replaced. Look at what is there."),
    BehindTheEndError: _("%(name)s: it ends before the range that was asked for. Look at what is there."),
    StorageUnavailableError: _("%(name)s: our storage cannot answer now (%(finding)s). It is tried again."),
    StorageRefusedError: _(
        "%(name)s: our storage refused (%(finding)s). Look at DFC_STORAGE_URL, at its keys and at what they may do."
    ),
}


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise ours for theirs; `name` says what it was about.

    They are FileNotFoundError, FileBusyError, UploadGoneError, AlreadyThereError, BehindTheEndError,
    StorageUnavailableError and StorageRefusedError.
    """
    try:
        yield
    except ParamValidationError:
        raise
    except ClientError as error:
        raise meaning(name, error) from error
    except (NoCredentialsError, CredentialRetrievalError) as error:
        raise made(StorageRefusedError, name, type(error).__name__, NO_KEYS) from None  # it may repeat what was said
    except AddressRefusedError as error:
        raise made(StorageRefusedError, name, error.message, PRIVATE) from error
    except NameUnknownError as error:
        raise made(StorageUnavailableError, name, error.message) from error
    except ResponseParserError as error:
        raise made(StorageUnavailableError, name, "what answers does not speak as S3 does", NOT_S3) from error
    except BotoCoreError as error:
        raise made(StorageUnavailableError, name, type(error).__name__) from error


def meaning(name: str, error: ClientError) -> Exception:
    """Sort an answer by what the caller can do about it: first by its code, then by its status."""
    code, text = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    usual = StorageUnavailableError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else StorageRefusedError
    return made(BY_CODE.get(code) or BY_STATUS.get(status) or usual, name, f"{status} {code}: {text}", code)


def made(kind: Kind, name: str, finding: str, code: str = "") -> Exception:
    """Build an error whose message speaks the language of the moment."""
    if issubclass(kind, FileNotFoundError):
        return kind(name)
    return kind(str(SENTENCES[kind]) % {"name": name, "finding": finding}, finding=finding, code=code)
