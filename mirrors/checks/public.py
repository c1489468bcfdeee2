"""Read a copy through its public address, as people do: by ranges, going on where an answer broke off.

1. Addresses are looked at by catalog/addresses.py, redirects too.
2. A range counts only if status, Content-Range and length are those of the question; a whole answer to a range is
   taken for the range only from the first byte on.
3. What an answer lacks is asked for again from there, TRIES times in a row without a byte at most.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from catalog.addresses import networks
from mirrors.errors import AbsentError, MirrorRefusedError, MirrorUnavailableError
from releases.errors import UpstreamRefusedError, UpstreamUnavailableError
from releases.ingest.ask import Answer, Caller, Manners

OK, PARTIAL, ABSENT = 200, 206, {404, 410}
CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(?:\d{1,19}|\*)")
AGENT = "Data for Canada - verification"
STALL_S, TOTAL_S = 60.0, 21_600.0
TRIES = 3


@contextmanager
def caller() -> Iterator[Caller]:
    """Give what asks public addresses, for one thread."""
    made = Caller(Manners(AGENT, networks(settings.DFC_PRIVATE_NETWORKS), STALL_S, TOTAL_S))
    try:
        yield made
    finally:
        made.close()


def read_public(asks: Caller, url: str, start: int, length: int) -> Iterator[bytes]:
    """Give `length` bytes of an address from `start`, in blocks.

    Raises AbsentError where nothing is there, MirrorRefusedError for an address that we do not ask,
    MirrorUnavailableError where it does not come whole.
    """
    done, tries = 0, 0
    while done < length:
        came = 0
        for block in some(asks, url, start + done, length - done):
            came += len(block)
            yield block
        done, tries = done + came, 0 if came else tries + 1
        if tries == TRIES:
            raise MirrorUnavailableError(
                f"{url}: it gave {done} of {length} bytes that were asked for from byte {start}. Look at its server."
            )


def some(asks: Caller, url: str, start: int, length: int) -> Iterator[bytes]:
    """Give what one answer has of a range, at most `length` bytes; nothing where it broke off at once."""
    try:
        with asks.ask("GET", url, {"Range": f"bytes={start}-{start + length - 1}"}) as answer:
            refuse_other(answer, start, length)
            left = length
            for block in answer.blocks():
                yield block[:left]
                left -= len(block)
                if left <= 0:
                    return
    except UpstreamRefusedError as error:
        raise MirrorRefusedError(error.message) from error
    except UpstreamUnavailableError:
        return


def refuse_other(answer: Answer, start: int, length: int) -> None:
    if answer.status in ABSENT:
        raise AbsentError(f"{answer.url}: it is not there (status {answer.status}). Put it there again.")
    found = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    is_part = answer.status == PARTIAL and found and int(found[1]) == start and int(found[2]) < start + length
    if not is_part and not (answer.status == OK and start == 0):
        raise MirrorUnavailableError(
            f"{answer.url}: it answered a range of {length} bytes from byte {start} with status {answer.status} and "
            f"Content-Range {answer.headers.get('content-range', '')[:60]!r}. Look at its server."
        )
