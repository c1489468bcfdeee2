"""The server of local mirrors, as WSGI and as a real HTTP server: files, ranges, and nothing else."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirrors.serve import MirrorServer, directories
from tests.mirrors.serving import Served, served

CONTENT = bytes(range(251)) * 100
SIZE = len(CONTENT)
SECRET = b"not for the public"
FILE = "foundation/processed/ca_roads/v1.0.0/roads.geojson"
SPARSE_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True)
class Said:
    status: int
    headers: dict[str, str]
    body: bytes


def lay_out(folder: Path) -> dict[str, Path]:
    """Make two mirrors, one of them with everything that must not be served."""
    origin, second, outside = folder / "origin", folder / "second", folder / "outside"
    public = {origin / FILE: CONTENT, second / "rail.csv": CONTENT, origin / "empty.csv": b""}
    hidden = ["origin/.dotted", "origin/a/.hidden/x", "origin/a/.partial/roads.bin.0123", "outside/secret.txt"]
    for path, content in {**public, **{folder / name: SECRET for name in hidden}}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (origin / "link.txt").symlink_to(outside / "secret.txt")
    (origin / "folder").symlink_to(outside)
    (origin / "loop").symlink_to(origin / "loop")
    (origin / "inside.geojson").symlink_to(origin / FILE)
    with (origin / "sparse.bin").open("wb") as file:
        file.truncate(SPARSE_BYTES)
    return {"origin": origin, "second": second}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return lay_out(tmp_path_factory.mktemp("mirrors"))


@pytest.fixture(scope="module")
def server(places: dict[str, Path]) -> Iterator[Served]:
    with served(places) as one:
        yield one


def over_http(server: Served, path: str, method: str = "GET", **headers: str) -> Said:
    """Ask as the path is written, which urllib would tidy up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
    answer = connection.getresponse()
    said = Said(answer.status, dict(answer.getheaders()), answer.read())
    connection.close()
    return said


def by_wsgi(places: dict[str, Path], path: str, method: str = "GET", *, raw: str = "", **headers: str) -> Said:
    """Ask the application itself, held to PEP 3333 by wsgiref's validator; `raw` is the path before decoding."""
    environ: dict[str, Any] = {f"HTTP_{name.upper()}": text for name, text in headers.items()}
    environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "RAW_URI": raw}
    setup_testing_defaults(environ)
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], object]:
        started.append((status, headers))
        return bytes

    answer = validator(MirrorServer(places))(environ, start)
    try:
        body = b"".join(answer)
    finally:
        answer.close()  # type: ignore[attr-defined]
    return Said(int(started[0][0].split(" ")[0]), dict(started[0][1]), body)


def test_a_file_is_served_whole_with_what_caches_and_browsers_need(server: Served, places: dict[str, Path]) -> None:
    said = over_http(server, f"/origin/{FILE}")
    assert (said.status, said.body) == (200, CONTENT)
    assert said.headers["Content-Length"] == str(SIZE)
    assert said.headers["Accept-Ranges"] == "bytes"
    assert said.headers["Access-Control-Allow-Origin"] == "*"
    assert {"ETag", "Content-Range"} <= set(said.headers["Access-Control-Expose-Headers"].split(", "))
    assert said.headers["X-Content-Type-Options"] == "nosniff"
    assert said.headers["Cache-Control"].startswith("public, max-age=")
    changed = (places["origin"] / FILE).stat().st_mtime
    assert said.headers["Last-Modified"] == formatdate(changed, usegmt=True)


def test_head_says_the_same_without_the_bytes(server: Served) -> None:
    whole, head = over_http(server, f"/origin/{FILE}"), over_http(server, f"/origin/{FILE}", "HEAD")
    assert (head.status, head.body) == (200, b"")
    whole.headers.pop("Date")
    head.headers.pop("Date")
    assert head.headers == whole.headers


def test_a_query_and_plain_percent_encoding_lead_to_the_same_file(server: Served) -> None:
    for path in (f"/origin/{FILE}?x=../y", f"/origin/{FILE.replace('roads', '%72oads')}", f"/%6Frigin/{FILE}"):
        assert over_http(server, path).body == CONTENT


def test_each_mirror_serves_its_own_directory(server: Served) -> None:
    assert over_http(server, "/second/rail.csv").status == 200
    assert over_http(server, "/origin/rail.csv").status == 404
    assert over_http(server, f"/second/{FILE}").status == 404


RANGES = [
    ("bytes=0-0", 0, 0),
    ("bytes=5-9", 5, 9),
    ("bytes=100-", 100, SIZE - 1),
    ("bytes=0-", 0, SIZE - 1),
    ("bytes=-1", SIZE - 1, SIZE - 1),
    ("bytes=-700", SIZE - 700, SIZE - 1),
    (f"bytes=-{SIZE + 1}", 0, SIZE - 1),
    (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
    (f"bytes={SIZE - 2}-{SIZE + 900}", SIZE - 2, SIZE - 1),
    (f"bytes=10-{'9' * 90}", 10, SIZE - 1),
    (f"bytes=-{'9' * 90}", 0, SIZE - 1),
    (" bytes=5-9 ", 5, 9),
]


@pytest.mark.parametrize(("wanted", "first", "last"), RANGES)
def test_one_range_of_each_form_is_served(server: Served, wanted: str, first: int, last: int) -> None:
    said = over_http(server, f"/origin/{FILE}", Range=wanted)
    assert said.status == 206
    assert said.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert said.headers["Content-Length"] == str(last - first + 1)
    assert said.body == CONTENT[first : last + 1]


@pytest.mark.parametrize("wanted", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=9-5", "bytes=-0"])
def test_a_range_that_the_file_has_not_is_416_with_its_size(server: Served, wanted: str) -> None:
    said = over_http(server, f"/origin/{FILE}", Range=wanted)
    assert (said.status, said.headers["Content-Range"]) == (416, f"bytes */{SIZE}")
    assert said.body == b"The file ends before.\n"
    assert "Cache-Control" not in said.headers


def test_an_empty_file_is_served_and_has_no_ranges(server: Served) -> None:
    said = over_http(server, "/origin/empty.csv")
    assert (said.status, said.body, said.headers["Content-Length"]) == (200, b"", "0")
    for wanted in ("bytes=0-", "bytes=0-0", "bytes=-5"):
        assert over_http(server, "/origin/empty.csv", Range=wanted).headers["Content-Range"] == "bytes */0"


@pytest.mark.parametrize(
    "wanted",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=0x1-", "bytes=1.5-", "bytes=--5", "bytes = 0-5"),
        *("items=0-5", "0-5", "bytes=0-1,5-6", "bytes=0-1, -1", f"bytes=0-{'9' * 5000}", f"bytes={'9' * 5000}-"),
    ],
)
def test_several_or_malformed_ranges_give_the_whole_file(server: Served, wanted: str) -> None:
    said = over_http(server, f"/origin/{FILE}", Range=wanted)
    assert (said.status, said.body) == (200, CONTENT)


def well_formed() -> st.SearchStrategy[str]:
    numbers = st.one_of(st.just(""), st.integers(0, SIZE + 9).map(str), st.integers(0, 10**120).map(str))
    return st.tuples(numbers, numbers).map(lambda ends: f"bytes={ends[0]}-{ends[1]}")


def latin(alphabet: str | None = None) -> st.SearchStrategy[str]:
    return st.text(alphabet or st.characters(min_codepoint=32, max_codepoint=255), max_size=40)


@given(wanted=st.one_of(well_formed(), latin(), latin("bytes=0123456789-, ")))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_gives_the_right_part_the_whole_or_416(places: dict[str, Path], wanted: str) -> None:
    said = by_wsgi(places, f"/origin/{FILE}", range=wanted)
    if said.status == 206:
        first, last = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/25100", said.headers["Content-Range"]).groups())  # type: ignore[union-attr]
        assert said.body == CONTENT[first : last + 1] != b""
        assert said.body == asked_for(wanted)
    elif said.status == 416:
        assert said.headers["Content-Range"] == f"bytes */{SIZE}"
        assert asked_for(wanted) == b""
    else:
        assert (said.status, said.body) == (200, CONTENT)


def asked_for(wanted: str) -> bytes:
    """Read a single range by slicing, apart from how the server reads it."""
    first, _, last = wanted.strip().removeprefix("bytes=").partition("-")
    if not first:
        return CONTENT[max(0, SIZE - int(last)) :]
    return CONTENT[min(int(first), SIZE) :][: max(0, int(last) - int(first) + 1) if last else None]


def test_what_a_client_knows_already_is_not_sent_again(server: Served) -> None:
    etag = over_http(server, f"/origin/{FILE}").headers["ETag"]
    for known in (etag, "*", f"W/{etag}", f'"other", {etag}', f'"other",W/{etag}'):
        said = over_http(server, f"/origin/{FILE}", If_None_Match=known)
        assert (said.status, said.body, said.headers["ETag"]) == (304, b"", etag)
        assert "Content-Type" not in said.headers
    for other in ('"other"', etag.strip('"'), ""):
        assert over_http(server, f"/origin/{FILE}", If_None_Match=other).body == CONTENT


def test_a_range_of_another_edition_of_the_file_gives_the_whole(server: Served) -> None:
    etag = over_http(server, f"/origin/{FILE}").headers["ETag"]
    same = over_http(server, f"/origin/{FILE}", Range="bytes=0-4", If_Range=etag)
    assert (same.status, same.body) == (206, CONTENT[:5])
    for other in ('"other"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        said = over_http(server, f"/origin/{FILE}", Range="bytes=0-4", If_Range=other)
        assert (said.status, said.body) == (200, CONTENT)


def test_changed_bytes_change_the_etag(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"one")
    before = by_wsgi({"m": tmp_path}, "/m/x.csv").headers["ETag"]
    assert by_wsgi({"m": tmp_path}, "/m/x.csv").headers["ETag"] == before
    path.write_bytes(b"two")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    assert by_wsgi({"m": tmp_path}, "/m/x.csv").headers["ETag"] != before


@pytest.mark.parametrize("path", [f"/origin/{FILE}", "/origin/absent", "/"])
def test_a_preflight_is_answered_to_everybody(server: Served, path: str) -> None:
    said = over_http(
        server,
        path,
        "OPTIONS",
        Origin="null",
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="range, if-range",
    )
    assert (said.status, said.body) == (204, b"")
    assert said.headers["Access-Control-Allow-Origin"] == "*"
    assert {"Range", "If-Range"} <= set(said.headers["Access-Control-Allow-Headers"].split(", "))
    assert "GET" in said.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
def test_nothing_but_reading_is_allowed(server: Served, places: dict[str, Path], method: str) -> None:
    said = over_http(server, f"/origin/{FILE}", method)
    assert (said.status, said.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (places["origin"] / FILE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.geojson", "application/geo+json"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.pmtiles", "application/vnd.pmtiles"),
        ("a.tar.gz", "application/gzip"),
        ("a.json", "application/json"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.tif", "image/tiff"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_a_file_has_the_media_type_of_its_name(tmp_path: Path, name: str, media_type: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert by_wsgi({"m": tmp_path}, f"/m/{name}").headers["Content-Type"] == media_type


def test_other_characters_are_found_under_their_utf_8_name(tmp_path: Path) -> None:
    (tmp_path / "été 1.csv").write_bytes(b"x")
    with served({"m": tmp_path}) as server:
        assert over_http(server, "/m/%C3%A9t%C3%A9%201.csv").body == b"x"
        assert over_http(server, "/m/%E9t%E9%201.csv").status == 404
    assert by_wsgi({"m": tmp_path}, "/m/été 1.csv".encode().decode("latin-1")).body == b"x"


NOT_SERVED = [
    *("/", "/origin", "/origin/", "//origin/", "/absent/x", "/origin/absent", "/ORIGIN/empty.csv"),
    *("/origin/foundation", "/origin/foundation/", f"/origin/{FILE}/", f"/origin//{FILE}", f"//origin/{FILE}"),
    *("/origin/.dotted", "/origin/a/.hidden/x", "/origin/a/.partial/roads.bin.0123", "/origin/%2Edotted"),
    *("/origin/../second/rail.csv", "/origin/a/../empty.csv", "/origin/./empty.csv", "/../etc/passwd"),
    *("/origin/%2e%2e/second/rail.csv", "/origin/%2E%2E%2Fsecond%2Frail.csv", "/origin/..%2foutside/secret.txt"),
    *("/origin/a%2F..%2Fempty.csv", f"/origin/{FILE.replace('/', '%2F')}", "/origin%2Fempty.csv", "/origin%2f../x"),
    *("/origin/%252e%252e/second/rail.csv", "/origin/..\\second\\rail.csv", "/origin/..%5Csecond%5Crail.csv"),
    *("/origin/link.txt", "/origin/folder/secret.txt", "/origin/inside.geojson", "/origin/loop", "/origin/loop/x"),
    *("/origin/empty.csv%00", "/origin/%00", "/origin/empty.csv%00.txt", f"/origin/{'x' * 300}", "/origin/%FF%FE"),
]


@pytest.mark.parametrize("path", NOT_SERVED)
def test_whatever_is_no_plain_published_file_does_not_exist(server: Served, path: str) -> None:
    for method in ("GET", "HEAD"):
        said = over_http(server, path, method, Range="bytes=0-5")
        assert said.status == 404
        assert SECRET not in said.body
        assert "Cache-Control" not in said.headers


@pytest.mark.parametrize("path", [one for one in NOT_SERVED if "%" not in one])
def test_nor_does_it_where_a_server_gives_the_decoded_path_only(places: dict[str, Path], path: str) -> None:
    said = by_wsgi(places, path)
    assert (said.status, said.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")


@given(path=latin("/.%origsecondaeuv2F\\\0"))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_at_all_leads_outside_or_breaks_the_server(places: dict[str, Path], path: str) -> None:
    for prefix in ("/", "/origin/", "/origin/../", "/origin/a/."):
        for said in (by_wsgi(places, f"{prefix}{path}"), by_wsgi(places, "/", raw=f"{prefix}{path}")):
            assert said.status in {200, 404}
            assert SECRET not in said.body


def test_memory_stays_flat_while_a_large_file_is_served(server: Served) -> None:
    over_http(server, "/origin/empty.csv")
    before = peak_bytes(server.worker())
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/origin/sparse.bin")
    answer, received = connection.getresponse(), 0
    while block := answer.read(1 << 20):
        received += len(block)
    connection.close()
    assert received == SPARSE_BYTES
    assert peak_bytes(server.worker()) - before < 30 * 1024 * 1024


def peak_bytes(pid: int) -> int:
    """Give the most memory that a process ever had (proc(5), VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) * 1024


def test_the_server_needs_no_django() -> None:
    program = "import json, sys, mirrors.serve; print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert "django" not in json.loads(done.stdout)


@pytest.mark.parametrize("part", ["origin", "origin=relative", "=/srv", "origin="])
def test_a_bad_list_of_directories_stops_the_start_and_names_the_part(part: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"DFC_SERVE: {part!r} is not slug=/absolute/path")):
        directories(f"a=/srv;{part}")


def test_a_list_of_directories_is_read() -> None:
    assert directories("a=/srv/a;b=/srv/b;") == {"a": Path("/srv/a"), "b": Path("/srv/b")}
    assert directories("") == {}
