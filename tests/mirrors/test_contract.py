"""What every mirror does alike. A new backend joins by one line in BACKENDS."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrors.backends.base import Draft, MirrorBackend
from mirrors.backends.local import LocalMirror
from mirrors.backends.memory import MemoryMirror
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from tests.mirrors import archives, zenodos
from tests.mirrors.s3_mirrors import new_mirror
from tests.mirrors.uploads import (
    BLOCK,
    BREAKS_AT,
    KEY,
    RAIL,
    RECORD,
    ROADS,
    Kept,
    Source,
    break_put,
    put,
    quiet,
    upload,
    whole,
)

BACKENDS: dict[str, Callable[[Path, Any], MirrorBackend]] = {
    "local": lambda folder, _server: LocalMirror(folder, "https://local.example.org/data/"),
    "memory": lambda _folder, _server: MemoryMirror(),
    "s3": lambda folder, server: new_mirror(server, folder),
    "zenodo": lambda _folder, _server: zenodos.mirror_at(zenodos.zenodo()),
    "internet_archive": lambda _folder, _server: archives.mirror_at(archives.archive()),
}
SERVERS = {"s3": "s3"}  # the fixture of its server, by backend; tests that need it have a mark of that name


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    return [getattr(pytest.mark, SERVERS[name])] if name in SERVERS else []


@pytest.fixture(scope="module", params=[pytest.param(name, marks=marks_of(name)) for name in BACKENDS])
def opener(request: pytest.FixtureRequest) -> Callable[[Path], MirrorBackend]:
    """Give what opens an empty mirror of a kind; its server runs."""
    server = request.getfixturevalue(SERVERS[request.param]) if request.param in SERVERS else None
    return lambda folder: BACKENDS[request.param](folder, server)


@pytest.fixture
def mirror(opener: Callable[[Path], MirrorBackend], tmp_path: Path) -> MirrorBackend:
    return opener(tmp_path)


@pytest.fixture
def draft(mirror: MirrorBackend) -> Draft:
    return mirror.prepare(KEY, RECORD)


def test_preparing_twice_gives_the_same_draft(mirror: MirrorBackend, draft: Draft) -> None:
    assert draft.key == KEY
    assert draft.record_id
    assert mirror.prepare(KEY, RECORD) == draft


@pytest.mark.parametrize("path", ["roads.bin", "sources/2021/roads.bin", "r-1_a.tar.gz"])
def test_what_is_put_is_told_read_and_addressed(mirror: MirrorBackend, path: str) -> None:
    locator = put(mirror, upload(ROADS, path=path))
    stat = mirror.stat(locator)
    assert stat is not None
    assert stat.size_bytes == len(ROADS)
    assert whole(mirror, locator) == ROADS
    assert mirror.url(locator).startswith("https://")
    assert quote(path.rpartition("/")[2]) in mirror.url(locator)


def test_a_mirror_tells_the_right_checksum_or_none(mirror: MirrorBackend) -> None:
    stat = mirror.stat(put(mirror, upload(ROADS)))
    assert stat is not None
    assert stat.checksums == {name: hashlib.new(name, ROADS).hexdigest() for name in stat.checksums}


def test_locator_and_address_are_known_before_the_bytes_are_there(mirror: MirrorBackend, draft: Draft) -> None:
    locator = mirror.locator(draft, "sources/roads.bin")
    address = mirror.url(locator)
    assert mirror.stat(locator) is None
    assert put(mirror, upload(ROADS, path="sources/roads.bin")) == locator
    assert mirror.url(locator) == address


def test_two_files_and_two_deposits_do_not_mix(mirror: MirrorBackend) -> None:
    urn = RECORD.urn.replace("3a01", "3a02")
    other = mirror.prepare(KEY.replace("v1.0.0", "v1.1.0"), replace(RECORD, version="1.1.0", urn=urn))
    places = {
        put(mirror, upload(ROADS)): ROADS,
        put(mirror, upload(RAIL, path="rail.bin")): RAIL,
        mirror.put(other, upload(RAIL), checkpoint=Kept(), progress=quiet): RAIL,
    }
    assert len(places) == 3
    assert all(whole(mirror, locator) == content for locator, content in places.items())


def test_a_file_of_no_bytes_is_a_file(mirror: MirrorBackend) -> None:
    seen: list[int] = []
    locator = put(mirror, upload(b""), progress=seen.append)
    stat = mirror.stat(locator)
    assert stat is not None
    assert stat.size_bytes == 0
    assert whole(mirror, locator) == b""
    assert set(seen) == {0}


def test_a_broken_put_is_resumed_and_not_started_again(mirror: MirrorBackend) -> None:
    checkpoint = Kept()
    break_put(mirror, checkpoint)
    source = Source(ROADS)
    locator = put(mirror, upload(source), checkpoint)
    assert len(source.starts) == 1
    assert 0 < source.starts[0] <= BREAKS_AT if mirror.traits.resumes else source.starts == [0]
    assert source.given_bytes == len(ROADS) - source.starts[0]
    assert whole(mirror, locator) == ROADS


def test_nothing_half_copied_is_visible(mirror: MirrorBackend, draft: Draft) -> None:
    locator = mirror.locator(draft, "roads.bin")

    def looked_at(start: int) -> Iterator[bytes]:
        for block in Source(ROADS, ends_at=BREAKS_AT).open(start):
            assert mirror.stat(locator) is None
            yield block

    with pytest.raises(MirrorUnavailableError):
        put(mirror, replace(upload(ROADS), open=looked_at))
    assert mirror.stat(locator) is None
    with pytest.raises(MirrorRefusedError):
        whole(mirror, locator)


def test_what_came_of_other_bytes_is_not_continued(mirror: MirrorBackend) -> None:
    checkpoint = Kept()
    break_put(mirror, checkpoint)
    assert whole(mirror, put(mirror, upload(RAIL), checkpoint)) == RAIL


def test_a_lost_checkpoint_costs_time_and_never_bytes(mirror: MirrorBackend) -> None:
    break_put(mirror, Kept())
    assert whole(mirror, put(mirror, upload(ROADS), Kept())) == ROADS


def test_a_source_that_cannot_be_read_is_not_blamed_on_the_mirror(mirror: MirrorBackend) -> None:
    checkpoint, lost = Kept(), Source(ROADS, ends_at=BREAKS_AT, error=OSError("the disk of the source"))
    with pytest.raises(OSError, match="the disk of the source"):
        put(mirror, upload(lost), checkpoint)
    again = Source(ROADS)
    assert whole(mirror, put(mirror, upload(again), checkpoint)) == ROADS
    assert again.starts[0] > 0 or not mirror.traits.resumes


@pytest.mark.parametrize("announced", [ROADS[:-1], ROADS + b"x", ROADS[: BREAKS_AT + 1], b""])
def test_a_source_of_another_length_is_not_stored(mirror: MirrorBackend, announced: bytes) -> None:
    checkpoint = Kept()
    with pytest.raises(MirrorUnavailableError):
        put(mirror, upload(Source(ROADS), of=announced), checkpoint)
    locator = mirror.locator(mirror.prepare(KEY, RECORD), "roads.bin")
    assert mirror.stat(locator) is None


def test_a_source_that_was_too_long_leaves_nothing_to_go_on_from(mirror: MirrorBackend) -> None:
    checkpoint, announced = Kept(), RAIL[:-1]
    with pytest.raises(MirrorUnavailableError):
        put(mirror, upload(Source(ROADS), of=announced), checkpoint)
    assert whole(mirror, put(mirror, upload(announced), checkpoint)) == announced


def test_putting_twice_is_the_same_as_once(mirror: MirrorBackend) -> None:
    locator, again = put(mirror, upload(ROADS)), Source(ROADS)
    seen: list[int] = []
    assert put(mirror, upload(again), progress=seen.append) == locator
    assert again.given_bytes == 0
    assert seen[-1] == len(ROADS)
    assert whole(mirror, locator) == ROADS


@pytest.mark.parametrize("other", [RAIL, ROADS[:-1], b""], ids=["same size", "shorter", "empty"])
def test_other_bytes_under_the_same_name_are_refused(mirror: MirrorBackend, other: bytes) -> None:
    locator = put(mirror, upload(ROADS))
    with pytest.raises(MirrorRefusedError, match="etire that copy first"):
        put(mirror, upload(other))
    assert whole(mirror, locator) == ROADS


@pytest.mark.parametrize("start", [0, 1, 70_001, len(ROADS) - 1, len(ROADS), len(ROADS) + 5])
@pytest.mark.parametrize("length", [None, 0, 1, 65_537, len(ROADS), 10 * len(ROADS)])
def test_any_part_is_read(mirror: MirrorBackend, start: int, length: int | None) -> None:
    locator = put(mirror, upload(ROADS))
    expected = ROADS[start:] if length is None else ROADS[start : start + length]
    blocks = list(mirror.read(locator, start=start, length=length))
    assert b"".join(blocks) == expected
    assert all(blocks)
    assert all(len(block) <= 1 << 20 for block in blocks)


def test_what_is_absent_has_no_stat_and_is_not_read(mirror: MirrorBackend, draft: Draft) -> None:
    for path in ("roads.bin", "no/such/folder.bin"):
        locator = mirror.locator(draft, path)
        assert mirror.stat(locator) is None
        with pytest.raises(MirrorRefusedError, match="again"):
            whole(mirror, locator)
        with pytest.raises(MirrorRefusedError):
            list(mirror.read(locator, start=3, length=1))


def test_a_retired_copy_is_gone_and_can_be_put_again(mirror: MirrorBackend) -> None:
    locator, rail = put(mirror, upload(ROADS)), put(mirror, upload(RAIL, path="rail.bin"))
    if keeps_for_ever(mirror):
        with pytest.raises(MirrorRefusedError, match="keeps for ever what it has"):
            mirror.retire(locator)
        return
    mirror.retire(locator)
    mirror.retire(locator)
    assert mirror.stat(locator) is None
    assert whole(mirror, rail) == RAIL
    assert put(mirror, upload(RAIL)) == locator
    assert whole(mirror, locator) == RAIL


def keeps_for_ever(mirror: MirrorBackend) -> bool:
    return mirror.traits.is_lasting and not mirror.traits.has_drafts


def test_progress_only_rises_and_ends_at_the_size(mirror: MirrorBackend) -> None:
    seen: list[int] = []
    put(mirror, upload(ROADS), progress=seen.append)
    assert len(seen) > 2
    assert all(before <= after for before, after in pairwise(seen))
    assert seen[-1] == len(ROADS)


def test_progress_of_a_put_that_goes_on_begins_where_it_stopped(mirror: MirrorBackend) -> None:
    checkpoint, resumed = Kept(), list[int]()
    break_put(mirror, checkpoint)
    put(mirror, upload(ROADS), checkpoint, resumed.append)
    assert resumed[0] > BLOCK or not mirror.traits.resumes
    assert resumed[-1] == len(ROADS)


def test_progress_ends_at_the_size_also_if_all_bytes_came_before(mirror: MirrorBackend) -> None:
    checkpoint, seen = Kept(), list[int]()
    with pytest.raises(OSError, match="cut"):
        put(mirror, upload(Source(ROADS, error=OSError("cut at the very end"))), checkpoint)
    put(mirror, upload(ROADS), checkpoint, seen.append)
    assert seen[-1] == len(ROADS)


def test_publishing_is_repeatable(mirror: MirrorBackend, draft: Draft) -> None:
    locator = put(mirror, upload(ROADS))
    receipt = mirror.publish(draft, RECORD)
    assert receipt.record_id == draft.record_id
    assert mirror.publish(draft, RECORD) == receipt
    assert whole(mirror, locator) == ROADS


@given(breaks=st.lists(st.integers(0, 3_000), max_size=4), size_bytes=st.integers(0, 3_000))
@settings(max_examples=40)
def test_however_often_it_breaks_the_bytes_are_right(
    opener: Callable[[Path], MirrorBackend], breaks: list[int], size_bytes: int
) -> None:
    content = ROADS[:size_bytes]
    with tempfile.TemporaryDirectory() as folder:
        mirror, checkpoint = opener(Path(folder)), Kept()
        for position in (one for one in breaks if one < size_bytes):
            with pytest.raises(MirrorUnavailableError):
                put(mirror, upload(Source(content, ends_at=position)), checkpoint)
        assert whole(mirror, put(mirror, upload(content), checkpoint)) == content
