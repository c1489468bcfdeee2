"""The doors `/d/…`: where a file is at this moment, and what else its address gives."""

import base64
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalog.models import Asset, Dataset, Version
from mirrors.backends.memory import MemoryMirror
from mirrors.models import Check, Mirror, Replica
from mirrors.verify import check_replica
from swarm.bencode import decode
from swarm.describe import make_torrent
from swarm.torrent import infohashes
from tests import factories

pytestmark = pytest.mark.django_db

DOOR = "/d/ca_roads/v1.0.0/roads.geojson"
SUFFIXES = ("", ".sha256", ".mirrors.json", ".torrent")


@pytest.fixture
def asset() -> Asset:
    """Give one file of a published version with a proved copy at each of three mirrors."""
    made = factories.asset()
    for slug in ("north", "south", "west"):
        factories.proved(made, factories.mirror(slug))
    make_torrent(factories.step("swarm.describe.make_torrent", made.pk), made.pk)
    return made


def of_number(number: str, state: str = Version.State.PUBLISHED) -> Asset:
    """Give the file of one more version of the same dataset, with a proved copy."""
    dataset = Dataset.objects.first() or factories.dataset()
    made = factories.asset(factories.item(factories.version(dataset, number, state)), content=number.encode())
    factories.proved(made, Mirror.objects.first() or factories.mirror())
    return made


def target(client: Client, address: str = DOOR, **headers: Any) -> str:
    answer = client.get(address, **headers)
    assert answer.status_code == 302, answer.content
    return str(answer["Location"])


def listed(client: Client, address: str = DOOR) -> tuple[set[str], dict[str, str]]:
    """Give the mirrors that .mirrors.json offers, and the code of each that it does not."""
    document = json.loads(client.get(f"{address}.mirrors.json").content)
    return {one["mirror"] for one in document["mirrors"]}, {
        one["mirror"]: one["code"] for one in document["not_offered"]
    }


def web_seeds(client: Client, address: str = DOOR) -> set[str]:
    torrent: Any = decode(client.get(f"{address}.torrent").content)
    seeds = torrent.get(b"url-list", [])
    return {seed.decode() for seed in ([seeds] if isinstance(seeds, bytes) else seeds)}


def addresses(asset: Asset) -> dict[str, str]:
    return {mirror.slug: f"https://{mirror.slug}.example.org/{asset.storage_key}" for mirror in Mirror.objects.all()}


def test_a_door_leads_to_a_copy_and_names_the_others(client: Client, asset: Asset) -> None:
    answer = client.get(DOOR)
    places = addresses(asset)
    assert answer.status_code == 302
    assert answer["Location"] in places.values()
    links = answer["Link"].split(", ")
    assert {link.partition(">")[0].removeprefix("<") for link in links} == set(places.values())
    assert [link.partition(">")[2] for link in links] == [f"; rel=duplicate; pri={place}" for place in (1, 2, 3)]
    assert links[0].startswith(f"<{answer['Location']}>")
    assert answer["Repr-Digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(asset.sha256)).decode()}:"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert {"Link", "Location", "Repr-Digest"} <= set(answer["Access-Control-Expose-Headers"].split(", "))
    assert answer["Cache-Control"] == "private, max-age=60"
    assert not answer.cookies


def test_head_leads_to_the_same_copy(client: Client, asset: Asset) -> None:
    head = client.head(DOOR)
    assert (head.status_code, head["Location"], head.content) == (302, target(client), b"")


def test_the_address_of_a_local_mirror_follows_its_row(client: Client, asset: Asset) -> None:
    Mirror.objects.filter(slug="south").update(public_url="http://127.0.0.1:9001/south")
    assert target(client, f"{DOOR}?mirror=south") == f"http://127.0.0.1:9001/south/{asset.storage_key}"


def test_a_file_in_a_folder_has_a_door_too(client: Client) -> None:
    item = factories.item()
    for path, key in (("sources/2021/roads.csv", "source"), ("roads.csv", "data")):
        factories.proved(factories.asset(item, path, key=key), Mirror.objects.first() or factories.mirror())
    assert target(client, "/d/ca_roads/v1.0.0/sources/2021/roads.csv").endswith("/v1.0.0/sources/2021/roads.csv")
    assert target(client, "/d/ca_roads/v1.0.0/roads.csv").endswith("/v1.0.0/roads.csv")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_but_reading_is_allowed(client: Client, asset: Asset, suffix: str, method: str) -> None:
    answer = getattr(client, method)(DOOR + suffix)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_browser_that_asks_before_is_answered_and_not_redirected(client: Client, asset: Asset, suffix: str) -> None:
    wanted = {"Origin": "null", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    answer = client.options(DOOR + suffix, headers=wanted)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Range" in answer["Access-Control-Allow-Headers"]
    assert "GET" in answer["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "address",
    [
        *("/d/ca_roads/1.0.0/roads.geojson", "/d/ca_roads/V1.0.0/roads.geojson", "/d/ca_roads/v01.0.0/roads.geojson"),
        *(
            "/d/ca_roads/v1.0/roads.geojson",
            "/d/ca_roads/v1.0.0+b/roads.geojson",
            "/d/ca_roads/vlatest/roads.geojson",
        ),
        *(
            "/d/ca_roads/LATEST/roads.geojson",
            "/d/ca_roads/v1.0.0-beta/roads.geojson",
            "/d/absent/v1.0.0/roads.geojson",
        ),
        *("/d/CA_ROADS/v1.0.0/roads.geojson", "/d/ca_roads/v1.0.0/Roads.geojson", "/d/ca_roads/v1.0.0/absent.csv"),
        *("/d/ca_roads/v1.0.0/../v1.0.0/roads.geojson", "/d/ca_roads/v1.0.0//roads.geojson", "/d/absent/latest/x"),
        *("/d/ca_roads%00/v1.0.0/roads.geojson", "/d/ca_roads/v1.0.0%00/x", "/d/ca_roads/v1.0.0/roads.geojson%00"),
        *("/d/ca_roads/v2.0.0/roads.geojson", "/d/ca_roads/v1.0.0/roads.geojson/x"),
    ],
)
def test_other_spellings_unknown_files_and_drafts_do_not_exist(
    client: Client, asset: Asset, address: str, suffix: str
) -> None:
    of_number("2.0.0", Version.State.DRAFT)
    assert client.get(address + suffix).status_code == 404


def test_a_dataset_with_drafts_only_has_no_latest(client: Client) -> None:
    of_number("1.0.0", Version.State.DRAFT)
    assert client.get("/d/ca_roads/latest/roads.geojson").status_code == 404
    assert client.get("/d/ca_roads/latest/SHA256SUMS").status_code == 404


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (["1.0.0", "1.10.0", "1.9.0"], "1.10.0"),
        (["1.0.0", "2.0.0-rc.1"], "1.0.0"),
        (["0.1.0-alpha", "0.1.0-beta"], "0.1.0-beta"),
        (["0.9.0", "1.0.0-beta", "1.0.0-alpha"], "0.9.0"),
    ],
)
def test_latest_is_the_highest_stable_version_or_else_the_highest_of_all(
    client: Client, published: list[str], expected: str
) -> None:
    for number in published:
        of_number(number)
    of_number("9.0.0", Version.State.DRAFT)
    assert f"/v{expected}/" in target(client, "/d/ca_roads/latest/roads.geojson")


@pytest.mark.parametrize("state", [Version.State.DEPRECATED, Version.State.WITHDRAWN])
def test_latest_passes_over_what_is_deprecated_or_withdrawn(client: Client, state: str) -> None:
    of_number("1.0.0")
    of_number("2.0.0", state)
    assert "/v1.0.0/" in target(client, "/d/ca_roads/latest/roads.geojson")
    Version.objects.filter(number="1.0.0").update(state=state)
    assert client.get("/d/ca_roads/latest/roads.geojson").status_code == 404


def test_a_deprecated_version_stays_where_it_is(client: Client, asset: Asset) -> None:
    Version.objects.update(state=Version.State.DEPRECATED)
    assert target(client) in addresses(asset).values()
    assert listed(client)[0] == {"north", "south", "west"}


@pytest.mark.parametrize("suffix", ["", ".mirrors.json", ".torrent"])
def test_a_withdrawn_version_is_gone_and_says_so(client: Client, asset: Asset, suffix: str) -> None:
    Version.objects.update(state=Version.State.WITHDRAWN)
    answer = client.get(DOOR + suffix)
    assert answer.status_code == 410
    assert "ca_roads v1.0.0 was withdrawn" in answer.content.decode()
    assert "Location" not in answer
    assert client.get(f"/d/ca_roads/v1.0.0/other.csv{suffix}").status_code == 410


def test_a_withdrawn_version_keeps_its_digests(client: Client, asset: Asset) -> None:
    Version.objects.update(state=Version.State.WITHDRAWN)
    assert asset.sha256 in client.get(f"{DOOR}.sha256").content.decode()
    assert asset.sha256 in client.get("/d/ca_roads/v1.0.0/SHA256SUMS").content.decode()


def test_a_file_that_no_copy_is_proved_of_is_unavailable_and_not_absent(client: Client, asset: Asset) -> None:
    Check.objects.update(level=Check.Level.SAMPLED)
    answer = client.get(DOOR)
    assert answer.status_code == 503
    assert "roads.geojson: no copy of it is proved" in answer.content.decode()
    assert int(answer["Retry-After"]) > 0
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Cache-Control" not in answer
    assert listed(client) == (set(), {"north": "unproved", "south": "unproved", "west": "unproved"})


def test_a_file_without_any_copy_is_unavailable(client: Client) -> None:
    factories.asset()
    assert client.get(DOOR).status_code == 503
    assert listed(client) == (set(), {})


def test_a_damaged_copy_leaves_every_list_at_once(client: Client, asset: Asset) -> None:
    copy, rotten = Replica.objects.get(mirror__slug="south"), MemoryMirror()
    rotten.files[copy.locator] = factories.CONTENT
    rotten.flip(copy.locator, 77)
    check_replica(copy, backend=rotten, level=Check.Level.FULL, now=timezone.now())
    south = addresses(asset)["south"]
    for wanted in ("", "?mirror=south"):
        answer = client.get(DOOR + wanted)
        assert south not in answer["Location"] + answer["Link"]
    assert listed(client) == ({"north", "west"}, {"south": "damaged"})
    assert web_seeds(client) == set(addresses(asset).values()) - {south}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda: Mirror.objects.filter(slug="south").update(is_enabled=False), "disabled"),
        (lambda: of_south().update(at=timezone.now() - timedelta(days=91)), "due"),
        (lambda: of_south().update(level=Check.Level.SAMPLED), "unproved"),
        (lambda: of_south().update(at=timezone.now() + timedelta(days=1)), "unproved"),
        (lambda: Replica.objects.filter(mirror__slug="south").update(state="missing"), "missing"),
        (lambda: factories.check(south(), Check.Level.SIZE, Check.Result.MISSING), "failed"),
    ],
)
def test_a_copy_that_may_not_be_offered_is_listed_with_the_reason(
    client: Client, asset: Asset, spoil: Any, code: str
) -> None:
    spoil()
    assert listed(client) == ({"north", "west"}, {"south": code})
    assert addresses(asset)["south"] not in web_seeds(client)
    assert target(client, f"{DOOR}?mirror=south") != addresses(asset)["south"]


def south() -> Replica:
    return Replica.objects.get(mirror__slug="south")


def of_south() -> Any:
    return Check.objects.filter(replica=south())


def test_the_newest_proof_counts_whatever_a_wrong_clock_wrote(client: Client, asset: Asset) -> None:
    factories.check(south(), at=timezone.now() + timedelta(days=365))
    assert listed(client)[0] == {"north", "south", "west"}


def test_the_list_of_mirrors_says_what_is_proved_and_how(client: Client, asset: Asset) -> None:
    factories.check(south(), Check.Level.CHECKSUM, at=timezone.now() + timedelta(seconds=2))
    answer = client.get(f"{DOOR}.mirrors.json")
    document = json.loads(answer.content)
    assert (answer["Content-Type"], answer["Access-Control-Allow-Origin"]) == ("application/json", "*")
    assert {name: document[name] for name in ("path", "size_bytes", "sha256")} == {
        "path": "roads.geojson",
        "size_bytes": len(factories.CONTENT),
        "sha256": asset.sha256,
    }
    proofs = {one["mirror"]: one["last_proof"]["level"] for one in document["mirrors"]}
    assert proofs == {"north": 4, "south": 2, "west": 4}
    north = next(one for one in document["mirrors"] if one["mirror"] == "north")
    assert (north["operator"], north["jurisdiction"], north["tier"]) == ("north operator", "CA", "primary")
    assert north["url"] == addresses(asset)["north"]
    assert target(client) == document["mirrors"][0]["url"]


def test_the_wanted_mirror_comes_first(client: Client, asset: Asset) -> None:
    for slug, address in addresses(asset).items():
        assert target(client, f"{DOOR}?mirror={slug}") == address
    assert target(client, f"{DOOR}?mirror=absent") == target(client)


def chosen(client: Client, networks: list[str]) -> list[str]:
    return [target(client, REMOTE_ADDR=address) for address in networks]


@pytest.mark.parametrize("shape", ["10.0.{}.9", "::ffff:10.0.{}.9", "2001:db8:{:x}::1"])
def test_a_network_stays_with_one_mirror_and_networks_spread(client: Client, asset: Asset, shape: str) -> None:
    networks = [shape.format(number) for number in range(1, 41)]
    first = chosen(client, networks)
    assert chosen(client, networks) == first
    assert set(first) == set(addresses(asset).values())


def test_neighbours_share_a_mirror_in_both_ways_of_writing_their_address(client: Client, asset: Asset) -> None:
    for number in range(1, 10):
        neighbours = [f"10.0.{number}.1", f"10.0.{number}.254", f"::ffff:10.0.{number}.77"]
        assert len(set(chosen(client, neighbours))) == 1


@pytest.mark.parametrize("address", ["", "unix:", "fe80::1%eth0"])
def test_a_client_without_a_network_is_served_too(client: Client, asset: Asset, address: str) -> None:
    assert target(client, REMOTE_ADDR=address) in addresses(asset).values()


def checked_by_sha256sum(lines: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "SUMS").write_bytes(lines)
    command = ["sha256sum", "--check", "--strict", "SUMS"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_digest_of_a_file_is_a_line_that_sha256sum_checks(client: Client, asset: Asset, tmp_path: Path) -> None:
    answer = client.get(f"{DOOR}.sha256")
    assert (answer["Content-Type"], answer["Access-Control-Allow-Origin"]) == ("text/plain; charset=utf-8", "*")
    (tmp_path / "roads.geojson").write_bytes(factories.CONTENT)
    done = checked_by_sha256sum(answer.content, tmp_path)
    assert (done.returncode, done.stdout) == (0, "roads.geojson: OK\n")
    (tmp_path / "roads.geojson").write_bytes(factories.CONTENT[:-1] + b"x")
    assert checked_by_sha256sum(answer.content, tmp_path).returncode == 1


def test_the_digest_of_a_file_in_a_folder_names_the_file_beside_which_it_is_put(
    client: Client, tmp_path: Path
) -> None:
    factories.asset(path="sources/roads.csv")
    (tmp_path / "roads.csv").write_bytes(factories.CONTENT)
    lines = client.get("/d/ca_roads/v1.0.0/sources/roads.csv.sha256").content
    assert checked_by_sha256sum(lines, tmp_path).stdout == "roads.csv: OK\n"


def test_the_digests_of_a_version_are_checked_where_its_files_lie(client: Client, tmp_path: Path) -> None:
    item = factories.item()
    contents = {"roads.geojson": b"roads", "sources/roads.csv": b"source", "z/empty.csv": b""}
    for number, (path, content) in enumerate(contents.items()):
        factories.asset(item, path, content, key=f"data-{number}")
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    factories.asset(factories.item(item.version, "tile-7"), "tiles/7.csv", b"seven")
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "7.csv").write_bytes(b"seven")
    done = checked_by_sha256sum(client.get("/d/ca_roads/v1.0.0/SHA256SUMS").content, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{path}: OK" for path in (*list(contents)[:2], "tiles/7.csv", "z/empty.csv")]


def test_the_torrent_follows_the_copies_and_its_info_hashes_never_change(client: Client, asset: Asset) -> None:
    hashes = (asset.torrent.infohash_v1, asset.torrent.infohash_v2)
    before = client.get(f"{DOOR}.torrent")
    assert web_seeds(client) == set(addresses(asset).values())
    Mirror.objects.filter(slug="south").update(offers_web_seed=False)
    Mirror.objects.filter(slug="north").update(is_enabled=False)
    after = client.get(f"{DOOR}.torrent")
    assert web_seeds(client) == {addresses(asset)["west"]}
    Mirror.objects.update(is_enabled=False)
    none = client.get(f"{DOOR}.torrent")
    assert web_seeds(client) == set()
    assert len({before.content, after.content, none.content}) == 3
    for answer in (before, after, none):
        assert info_hashes_of(answer.content) == hashes
        assert answer["Content-Type"] == "application/x-bittorrent"
        assert answer["Content-Disposition"] == 'attachment; filename="roads.geojson.torrent"'
        assert answer["Access-Control-Allow-Origin"] == "*"


def info_hashes_of(torrent: bytes) -> tuple[str, str]:
    """Hash the info dict as it lies in the file."""
    start = torrent.index(b"4:info") + len(b"4:info")
    end = torrent.index(b"12:piece layers")
    hashes = infohashes(torrent[start:end])
    return hashes.v1, hashes.v2


def test_the_torrent_of_the_same_copies_is_the_same_for_everybody(client: Client, asset: Asset) -> None:
    answers = {client.get(f"{DOOR}.torrent", REMOTE_ADDR=f"10.0.{number}.1").content for number in range(1, 9)}
    assert len(answers) == 1


def test_an_empty_file_has_digests_but_no_torrent(client: Client) -> None:
    factories.asset(content=b"")
    answer = client.get(f"{DOOR}.torrent")
    assert (answer.status_code, answer.content) == (
        404,
        b"roads.geojson has 0 bytes, so it has no torrent; download it directly.\n",
    )
    assert client.get(f"{DOOR}.sha256").status_code == 200
