"""What only a directory and the memory of a test do: disks, rights, names, and faults by request."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirrors.backends.base import Draft, MirrorBackend, Upload
from mirrors.backends.local import LocalMirror
from mirrors.backends.memory import MemoryMirror
from mirrors.connect import connect
from mirrors.errors import MirrorRefusedError, MirrorUnavailableError
from mirrors.models import Mirror
from tests.mirrors.uploads import BREAKS_AT, KEY, RECORD, ROADS, Kept, Source, put, quiet, upload, whole

ACTS: dict[str, Callable[[MirrorBackend], Any]] = {
    "prepare": lambda mirror: mirror.prepare(KEY, RECORD),
    "put": lambda mirror: mirror.put(Draft(KEY, KEY), upload(ROADS), checkpoint=Kept(), progress=quiet),
    "stat": lambda mirror: mirror.stat(f"{KEY}/roads.bin"),
    "read": lambda mirror: whole(mirror, f"{KEY}/roads.bin"),
    "retire": lambda mirror: mirror.retire(f"{KEY}/roads.bin"),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_memory_mirror_that_does_not_answer_is_unavailable(act: str) -> None:
    mirror = MemoryMirror()
    put(mirror, upload(ROADS))
    mirror.faults.is_unavailable = True
    with pytest.raises(MirrorUnavailableError, match="does not answer"):
        ACTS[act](mirror)


@pytest.mark.parametrize("act", ACTS)
def test_a_disk_that_is_not_mounted_is_unavailable_and_nothing_is_written_below_it(act: str, tmp_path: Path) -> None:
    mirror = LocalMirror(tmp_path / "not-mounted", "https://local.example.org")
    with pytest.raises(MirrorUnavailableError, match=r"not-mounted: .* Is its disk mounted\?"):
        ACTS[act](mirror)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("key", ["../outside", ".hidden", "a//b", "a\\b"])
def test_a_key_that_would_leave_the_directory_is_refused(act: str, key: str, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()
    mirror = LocalMirror(folder, "https://local.example.org")
    acts: dict[str, Callable[[], Any]] = {
        "prepare": lambda: mirror.prepare(key, RECORD),
        "put": lambda: mirror.put(Draft(key, key), upload(ROADS), checkpoint=Kept(), progress=quiet),
        "stat": lambda: mirror.stat(key),
        "read": lambda: whole(mirror, key),
        "retire": lambda: mirror.retire(key),
    }
    with pytest.raises(MirrorRefusedError, match="Use names"):
        acts[act]()
    assert list(tmp_path.rglob("*")) == [folder]


@pytest.mark.parametrize("act", ["prepare", "stat", "read", "retire"])
def test_a_name_that_the_disk_cannot_have_is_refused(act: str, tmp_path: Path) -> None:
    mirror, name = LocalMirror(tmp_path, "https://local.example.org"), "x" * 300
    acts: dict[str, Callable[[], Any]] = {
        "prepare": lambda: mirror.prepare(name, RECORD),
        "stat": lambda: mirror.stat(name),
        "read": lambda: whole(mirror, name),
        "retire": lambda: mirror.retire(name),
    }
    with pytest.raises(MirrorRefusedError, match="too long"):
        acts[act]()


def partial_of(folder: Path, one: Upload) -> Path:
    return folder / KEY / ".partial" / f"{one.path}.{one.sha256[:16]}"


def test_a_full_disk_is_unavailable_and_told_as_such(tmp_path: Path) -> None:
    mirror, roads = LocalMirror(tmp_path, "https://local.example.org"), upload(ROADS)
    partial = partial_of(tmp_path, roads)
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with pytest.raises(MirrorUnavailableError, match="No space left on device"):
        put(mirror, roads)
    assert mirror.stat(f"{KEY}/roads.bin") is None
    partial.unlink()
    assert whole(mirror, put(mirror, roads)) == ROADS


def test_two_workers_that_put_the_same_file_do_not_mix(tmp_path: Path) -> None:
    mirror, roads = LocalMirror(tmp_path, "https://local.example.org"), upload(ROADS)

    def meanwhile(start: int) -> Iterator[bytes]:
        with pytest.raises(MirrorUnavailableError, match="another process is writing it"):
            put(mirror, roads)
        yield from Source(ROADS).open(start)

    assert whole(mirror, put(mirror, replace(roads, open=meanwhile))) == ROADS


@contextmanager
def nobody_of_rights() -> Iterator[None]:
    """Go on as a user whom rights concern, also if the tests are run by root."""
    user = os.geteuid()
    os.seteuid(65_534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a directory that every user can reach, unlike those of `tmp_path`."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_directory_without_rights_is_refused_and_told_as_such(open_folder: Path) -> None:
    mirror = LocalMirror(open_folder, "https://local.example.org")
    open_folder.chmod(0o555)
    with nobody_of_rights():
        with pytest.raises(MirrorRefusedError, match=r"Permission denied\. Look at the rights"):
            mirror.prepare(KEY, RECORD)
        with pytest.raises(MirrorRefusedError, match=r"Permission denied\. Look at the rights"):
            mirror.put(Draft(KEY, KEY), upload(ROADS), checkpoint=Kept(), progress=quiet)
        assert mirror.stat(f"{KEY}/roads.bin") is None


def test_a_folder_that_may_not_be_entered_is_refused_and_not_called_absent(open_folder: Path) -> None:
    mirror = LocalMirror(open_folder, "https://local.example.org")
    locator, closed = put(mirror, upload(ROADS)), open_folder / KEY
    closed.chmod(0o600)
    with nobody_of_rights():
        with pytest.raises(MirrorRefusedError, match="Permission denied"):
            mirror.stat(locator)
        with pytest.raises(MirrorRefusedError, match="Permission denied"):
            whole(mirror, locator)
    closed.chmod(0o755)


def test_no_row_of_an_installation_can_name_a_memory_mirror() -> None:
    assert "memory" not in Mirror.Kind.values
    with pytest.raises(MirrorRefusedError, match="cannot open mirrors of kind memory"):
        connect(Mirror(slug="north", kind="memory"))


def test_a_put_at_a_memory_mirror_breaks_where_it_is_told_to() -> None:
    mirror, checkpoint = MemoryMirror(), Kept()
    mirror.faults.put_breaks_at_byte = BREAKS_AT + 7
    with pytest.raises(MirrorUnavailableError, match=f"broke off at byte {BREAKS_AT + 7}"):
        put(mirror, upload(ROADS), checkpoint)
    mirror.faults.put_breaks_at_byte = None
    source = Source(ROADS)
    assert whole(mirror, put(mirror, upload(source), checkpoint)) == ROADS
    assert source.starts == [BREAKS_AT + 7]


def test_a_memory_mirror_damages_what_it_is_told_to() -> None:
    mirror = MemoryMirror()
    locator = put(mirror, upload(ROADS))
    mirror.flip(locator, -1)
    stat = mirror.stat(locator)
    assert stat is not None
    assert stat.checksums["sha256"] != upload(ROADS).sha256
    assert whole(mirror, locator) == ROADS[:-1] + bytes([ROADS[-1] ^ 0xFF])
    mirror.faults.reads_end_at_byte = 10
    assert whole(mirror, locator) == ROADS[:10]
