"""What ./run starts: stopped in the middle it goes on by itself, and a second start changes nothing else."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site.running import Installation, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

IDENTIFIER = "ca_natural-earth-2021A000011124_d4c-datapkg-foundation_2022_provinces-territories-50m"
WAITING = "v0.2.0-beta"
OURS = ("catalog", "releases", "mirrors", "swarm", "auth")


@pytest.fixture
def site(played: Installation, tmp_path: Path) -> Iterator[Installation]:
    installation = played.copy_to(tmp_path)
    installation.start()
    installation.await_demo()
    yield installation
    installation.stop()


def rows(site: Installation) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in json.loads(site.manage("dumpdata", *OURS)))


def group(site: Installation) -> list[int]:
    """Give every living process of this installation, told by its data directory in their environment."""
    mark = f"DFC_DATA_DIR={site.folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def is_public(site: Installation) -> bool:
    return site.releases()[WAITING] == "published"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_a_stop_during_publication_is_made_good_by_the_next_start(site: Installation, number: int) -> None:
    site.manage("release", "approve", IDENTIFIER, WAITING, "--by", "reviewer", "--reason", "Compared.")
    assert site.releases()[WAITING] == "publishing"
    site.stop(number)
    wait_until(lambda: not group(site), words="processes of it live on")
    assert site.releases()[WAITING] == "publishing"
    site.start()
    wait_until(lambda: is_public(site), words=site.words())
    with urllib.request.urlopen(f"{site.url}/en/datasets/{IDENTIFIER}/{WAITING}/", timeout=10) as answer:
        assert answer.status == 200


def test_a_second_start_changes_nothing(site: Installation) -> None:
    before = rows(site)
    site.stop()
    assert group(site) == []
    site.log.unlink()
    site.start()
    site.await_demo()
    assert rows(site) == before
    assert "Demo sign-in" not in site.words()
