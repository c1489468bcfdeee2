"""Lists, indexes and listings: which files they name, in which order, and what is refused of them."""

import ipaddress
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.paths import check_path
from catalog.storage.connect import own_storage
from catalog.storage.files import locate
from releases.errors import ListingError, NotIngestibleError
from releases.ingest.ask import Caller, Manners
from releases.ingest.index import read_index
from releases.ingest.listing import list_files
from releases.ingest.lists import NAME_LENGTH, different_names, file_name, read_list, safe_name
from releases.models import Ingest
from tests.fakes.upstream import Upstream, upstream
from tests.releases.ingests import begin, fetched, job_of, run

LISTS = Path(__file__).parents[1] / "data" / "url-lists"
URLS = ["https://a.example.org/1.tif", "https://a.example.org/2.tif"]
MANNERS = Manners("Data for Canada - tests", (ipaddress.ip_network("127.0.0.0/8"),), stall_s=2, total_s=10)
CLOSED_QUERIES = [
    "SELECT * FROM '/etc/passwd'",
    "SELECT content FROM read_text('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x')",
    "COPY index TO '/tmp/out.csv'",
    "SELECT 1; SELECT url FROM index",
    "ATTACH '/tmp/x.db'",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "SELECT path FROM secret",
    "DROP VIEW index",
    "no such column",
]


def test_a_list_in_the_style_of_vancouver_is_read() -> None:
    listed = read_list((LISTS / "vancouver-style.txt").read_text(encoding="utf-8"))
    assert [file_name(url) for url in listed.urls] == [
        "COV_2022_7.5cm_A01.zip",
        "COV_2022_7.5cm_A02.zip",
        "COV_2022_7.5cm_A03.zip",
        "COV_2022_7.5cm_A01.zip",
        "parquet",
    ]
    assert listed.repeated == (listed.urls[0],)
    assert listed.urls[4].endswith("?lang=en&timezone=America%2FVancouver")


def test_a_list_in_the_style_of_quebec_is_read() -> None:
    listed = read_list((LISTS / "quebec-style.txt").read_text(encoding="utf-8"))
    assert [file_name(url) for url in listed.urls] == [
        "21L14_SO_f07_20cm.tif",
        "21L14_SO_f08_20cm.tif",
        "21L14_SO_f07_20cm.tif",
        "MNT_21L14NE.laz",
    ]
    folder = "https://diffusion.example.org/Diffusion/Imagerie/Orthophotographies/2024/Qu%C3%A9bec"
    assert listed.urls[1] == f"{folder}/T%C3%A9l%C3%A9chargement/21L14%20SO%20f08%2020cm.tif"
    assert listed.urls[3].endswith("/MNT_21L14NE.laz")
    assert listed.repeated == ()


@given(st.text(max_size=300))
def test_any_name_becomes_one_that_is_safe_everywhere(text: str) -> None:
    name = safe_name(text)
    assert len(name) <= NAME_LENGTH
    assert locate(Path("/srv"), f"folder/{name}").name == name


def test_names_are_safe_as_paths_of_assets_too() -> None:
    assert check_path(safe_name("../../é t/\0.CON.tif")) == "e_t_.CON.tif"
    assert safe_name("a" * 200 + ".tif").endswith("a.tif")


def test_two_files_of_one_name_get_different_ones() -> None:
    names = list(different_names([("a.zip", "https://x/1"), ("A.zip", "https://x/2"), ("b", "https://x/3")]))
    assert (names[0], names[2]) == ("a.zip", "b")
    assert names[1].startswith("A-")
    assert names[1].endswith(".zip")


def parquet(folder: Path) -> Path:
    table = pa.table({"url": [*URLS, None], "year": [2024, 2019, 2020], "geometry": [b"x", b"y", b"z"]})
    pq.write_table(table, folder / "index")
    return folder / "index"


def table_of_texts(folder: Path) -> Path:
    (folder / "index").write_text("url,year\n" + "".join(f"{url},{2024 - n}\n" for n, url in enumerate(URLS)))
    return folder / "index"


def geopackage(folder: Path, layers: int = 1) -> Path:
    with closing(sqlite3.connect(folder / "index")) as file:
        file.execute("CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT)")
        file.execute("CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT)")
        for number in range(layers):
            file.execute(f"CREATE TABLE tiles{number} (fid INTEGER, geom BLOB, url TEXT, year INTEGER)")
            file.execute("INSERT INTO gpkg_contents VALUES (?, 'features')", (f"tiles{number}",))
            file.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom')", (f"tiles{number}",))
            rows = [(n, b"GP", url, 2024 - n) for n, url in enumerate(URLS)]
            file.executemany(f"INSERT INTO tiles{number} VALUES (?, ?, ?, ?)", rows)  # noqa: S608  our own name
        file.commit()
    return folder / "index"


@pytest.mark.parametrize("make", [parquet, table_of_texts, geopackage])
def test_a_column_or_a_query_of_an_index_gives_addresses(make: Any, tmp_path: Path) -> None:
    path = make(tmp_path)
    assert read_index(path, "url", scratch=tmp_path) == URLS
    query = "SELECT url FROM index WHERE CAST(year AS INT) < 2024 AND url IS NOT NULL ORDER BY year DESC"
    assert read_index(path, query, scratch=tmp_path) == URLS[1:]


@pytest.mark.parametrize("query", CLOSED_QUERIES)
def test_a_query_reaches_nothing_but_the_index(query: str, tmp_path: Path) -> None:
    secret = pa.table({"path": ["inside"]})
    assert secret.num_rows == 1
    with pytest.raises(ListingError):
        read_index(parquet(tmp_path), query, scratch=tmp_path)


def test_a_query_that_never_ends_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ListingError, match=r"longer than 0\.3 s"):
        read_index(parquet(tmp_path), "SELECT count(*) FROM range(1000000000000)", scratch=tmp_path, longest_s=0.3)


def test_an_index_of_two_layers_and_one_that_is_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    with pytest.raises(ListingError, match="2 layers"):
        read_index(geopackage(tmp_path / "two", layers=2), "url", scratch=tmp_path)
    (tmp_path / "none").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ListingError, match="cannot be read"):
        read_index(tmp_path / "none", "url", scratch=tmp_path)


@pytest.fixture
def server(settings: Any, tmp_path: Path) -> Iterator[Upstream]:
    settings.DFC_STORAGE_DIR = tmp_path / "storage"
    settings.DFC_REPOSITORIES_DIR = tmp_path / "repositories"
    with upstream() as found:
        yield found


def listed_at(address: str) -> list[str]:
    with closing(Caller(MANNERS)) as caller:
        return list_files(address, caller)


def test_a_folder_of_a_web_server_is_listed_with_those_below_it(server: Upstream) -> None:
    above = '<a href="../">up</a><a href="?C=M">sort</a><a href="https://elsewhere.example.org/x">away</a>'
    server.add("/data/", f'{above}<a href="a%20b.tif">a</a><A HREF=sub/>sub</A>'.encode(), media_type="text/html")
    server.add("/data/sub/", b'<a href="/data/sub/c.tif">c</a><a href="/other.tif">o</a>', media_type="text/html")
    assert listed_at(f"{server.url}/data/") == [f"{server.url}/data/a%20b.tif", f"{server.url}/data/sub/c.tif"]


def bucket_page(keys: list[str], token: str = "") -> bytes:
    rest = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    contents = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<?xml version="1.0"?><ListBucketResult xmlns="{space}">{rest}{contents}</ListBucketResult>'.encode()


def test_a_public_bucket_is_listed_page_by_page(server: Upstream) -> None:
    asked = "/?list-type=2&encoding-type=url&prefix=tiles%2F"
    xml = {"media_type": "application/xml"}
    server.add(asked, bucket_page(["tiles/", "tiles/a+b.tif"], token="n=1"), **xml)
    server.add(f"{asked}&continuation-token=n%3D1", bucket_page(["tiles/%C3%A9.tif"]), **xml)
    found = [f"{server.url}/tiles/a%20b.tif", f"{server.url}/tiles/%C3%A9.tif"]
    assert listed_at(f"{server.url}/tiles/") == found
    assert listed_at(f"{server.url}/?list-type=2&prefix=tiles/") == found


@pytest.mark.parametrize("page", [b"<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>", b"<other/>", b"<", b"words"])
def test_what_is_no_listing_is_refused(server: Upstream, page: bytes) -> None:
    server.add("/?list-type=2&encoding-type=url&prefix=", page, media_type="application/xml")
    with pytest.raises(ListingError, match="neither a folder's page nor"):
        listed_at(f"{server.url}/?list-type=2")
    server.add("/empty/", b"<p>nothing</p>", media_type="text/html")
    with pytest.raises(ListingError, match="no file is listed"):
        listed_at(f"{server.url}/empty/")


@pytest.mark.django_db(transaction=True)
def test_an_index_at_an_address_is_kept_with_its_date_and_its_files_come_in(server: Upstream, tmp_path: Path) -> None:
    urls = [server.add(f"/{name}.tif", name.encode()) for name in ("one", "two")]
    pq.write_table(pa.table({"url": urls}), tmp_path / "index.parquet")
    address = server.add("/index.parquet", (tmp_path / "index.parquet").read_bytes())
    ingest = fetched("", origin=Ingest.Origin.INDEX, address=address, selection="url")
    assert (ingest.state, list(ingest.files.values_list("url", flat=True))) == ("done", urls)
    assert b"".join(own_storage().read(ingest.kept_key)) == (tmp_path / "index.parquet").read_bytes()
    assert ingest.listed_at is not None
    again = run(
        begin("", origin=Ingest.Origin.INDEX, index=tmp_path / "index.parquet", selection="SELECT 'x' FROM index")
    )
    assert "is no web address" in job_of(again).steps.get().error
    with pytest.raises(NotIngestibleError, match="column or query"):
        begin("", origin=Ingest.Origin.INDEX, address=address)


@pytest.mark.django_db(transaction=True)
def test_a_folder_comes_in_and_its_listing_is_kept(server: Upstream) -> None:
    server.add("/data/", b'<a href="a.tif">a</a>', media_type="text/html")
    url = server.add("/data/a.tif", b"a")
    ingest = fetched("", origin=Ingest.Origin.PREFIX, address=f"{server.url}/data/")
    assert (ingest.state, ingest.files.get().url) == ("done", url)
    assert b"".join(own_storage().read(ingest.kept_key)) == f"{url}\n".encode()
