"""A file of unknown size on its way in: continued, forgotten, or visible all at once."""

from pathlib import Path

import pytest

from catalog.storage.files import FileBusyError
from catalog.storage.local import LocalStorage

KEY = "packages/one.bin"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def content(storage: LocalStorage) -> bytes:
    return b"".join(storage.read(KEY))


def partials(storage: LocalStorage) -> list[str]:
    return sorted(path.name for path in storage.root.rglob(".partial/*"))


def break_off(storage: LocalStorage) -> None:
    with storage.receive(KEY, tag="a") as receiver:
        receiver.append(b"one")
        raise OSError("the line broke")


def test_nothing_is_visible_before_the_commit(storage: LocalStorage) -> None:
    with storage.receive(KEY, tag="a") as receiver:
        receiver.append(b"one")
        receiver.append(b"two")
        assert (storage.size(KEY), receiver.done_bytes) == (None, 6)
        receiver.commit()
    assert (content(storage), partials(storage)) == (b"onetwo", [])


def test_a_broken_try_is_continued_by_the_next_of_its_tag_alone(storage: LocalStorage) -> None:
    with pytest.raises(OSError, match="line"):
        break_off(storage)
    with storage.receive(KEY, tag="b") as other:
        assert other.done_bytes == 0
    with storage.receive(KEY, tag="a") as receiver:
        assert b"".join(receiver.kept()) == b"one"
        receiver.append(b"two")
        receiver.commit()
    assert content(storage) == b"onetwo"


def test_what_is_forgotten_leaves_nothing(storage: LocalStorage) -> None:
    with storage.receive(KEY, tag="a") as receiver:
        receiver.append(b"one")
        receiver.restart()
        assert (receiver.done_bytes, b"".join(receiver.kept())) == (0, b"")
    assert partials(storage) == []
    with storage.receive(KEY, tag="a") as receiver:
        receiver.commit()
    assert content(storage) == b""


def test_a_commit_takes_the_place_of_what_was_there_and_of_other_partials(storage: LocalStorage) -> None:
    storage.write_bytes(KEY, b"before")
    for tag in ("a", "b"):
        with storage.receive(KEY, tag=tag) as receiver:
            receiver.append(tag.encode())
    assert partials(storage) == ["one.bin.a", "one.bin.b"]
    with storage.receive(KEY, tag="b") as receiver:
        receiver.commit()
    assert (content(storage), partials(storage)) == (b"b", [])


def test_two_cannot_take_in_the_same(storage: LocalStorage) -> None:
    with storage.receive(KEY, tag="a"), pytest.raises(FileBusyError), storage.receive(KEY, tag="a"):
        pass
