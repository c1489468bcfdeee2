"""Copies read as the public reads them: by ranges, from servers that break off, cut short or give something else."""

from collections.abc import Iterator
from typing import Any

import pytest

from mirrors.checks.public import caller, read_public
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from tests.fakes.upstream import ALWAYS, Upstream, content_of, upstream

CONTENT = content_of(3, 300_000)


@pytest.fixture
def server(settings: Any) -> Iterator[Upstream]:
    settings.DFC_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    with upstream() as running:
        yield running


def read(url: str, start: int = 0, length: int = len(CONTENT)) -> bytes:
    with caller() as asks:
        return b"".join(read_public(asks, url, start, length))


@pytest.mark.parametrize("place", [(0, len(CONTENT)), (0, 1), (7, 65_536), (len(CONTENT) - 1, 1)])
def test_a_range_comes_as_it_was_asked_for(server: Upstream, place: tuple[int, int]) -> None:
    start, length = place
    assert read(server.add("/one.bin", CONTENT), start, length) == CONTENT[start : start + length]
    assert server.asked[-1].headers["range"] == f"bytes={start}-{start + length - 1}"


@pytest.mark.parametrize("fault", ["reset", "truncate", "wrong-length"])
def test_what_breaks_off_is_asked_for_from_there(server: Upstream, fault: str) -> None:
    assert read(server.add("/one.bin", CONTENT, fault)) == CONTENT
    assert len(server.asked) <= 2


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("short-range", "answered a range of 1000 bytes from byte 5 with status 206"),
        ("503", "with status 503"),
        ("200", "with status 200"),
    ],
)
def test_what_is_no_such_range_is_the_servers_fault_and_no_verdict(
    server: Upstream, fault: str, sentence: str
) -> None:
    url = server.add("/one.bin", CONTENT, fault, ALWAYS)
    with pytest.raises(MirrorUnavailableError, match=sentence):
        read(url, 5, 1000)


def test_a_server_that_gives_nothing_is_left_after_three_tries(server: Upstream) -> None:
    url = server.add("/one.bin", CONTENT[:2], "reset", ALWAYS)
    with pytest.raises(MirrorUnavailableError, match="it gave 0 of 2 bytes"):
        read(url, 0, 2)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", ["404", "410"])
def test_what_is_not_there_is_refused(server: Upstream, status: str) -> None:
    with pytest.raises(MirrorRefusedError, match="not there"):
        read(server.add("/one.bin", CONTENT, status, ALWAYS))


def test_a_private_address_is_never_read(server: Upstream, settings: Any) -> None:
    settings.DFC_PRIVATE_NETWORKS = []
    with pytest.raises(MirrorRefusedError, match="is no public address"):
        read(server.add("/one.bin", CONTENT))
    assert server.asked == []


def test_a_redirect_is_followed_and_a_circle_is_not(server: Upstream) -> None:
    server.add("/real.bin", CONTENT)
    assert (
        read(server.add("/moved.bin", CONTENT, f"redirect:{server.url}/real.bin", ALWAYS), 10, 10) == CONTENT[10:20]
    )
    with pytest.raises(MirrorRefusedError, match="redirects more than"):
        read(server.add("/circle.bin", CONTENT, f"redirect:{server.url}/circle.bin", ALWAYS))
