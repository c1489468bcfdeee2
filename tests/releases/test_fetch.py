"""One upstream file at a time, from a server that does all that real ones do wrong."""

import hashlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from catalog.storage.base import Storage
from catalog.storage.local import LocalStorage
from releases.errors import UpstreamRefusedError, UpstreamUnavailableError
from releases.ingest.ask import Caller, Manners
from releases.ingest.errand import Announced, Errand, retry_after
from releases.ingest.fetch import Fetched, Terms, fetch
from tests.fakes.upstream import ALWAYS, MODIFIED, Upstream, content_of, upstream

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
MANNERS = Manners("Data for Canada - roads", LOOPBACK, stall_s=0.5, total_s=2.0)
CONTENT = bytes(content_of(1, 300_000))
KEY = "packages/archive/roads/one/file.bin"
NOW = datetime(2026, 3, 5, 6, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as found:
        yield found


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def bring(errand: Errand, storage: Storage, *, most_bytes: int = 10_000_000, manners: Manners = MANNERS) -> Fetched:
    caller = Caller(manners)
    said: list[Announced] = []
    try:
        return fetch(
            errand,
            caller=caller,
            storage=storage,
            terms=Terms(most_bytes, said.append, lambda _done: None, lambda: NOW),
        )
    finally:
        caller.close()


def errand(url: str, **facts: object) -> Errand:
    return replace(Errand(1, url, KEY, 1), **facts)  # type: ignore[arg-type]


def kept(storage: LocalStorage) -> bytes:
    return b"".join(storage.read(KEY))


def waiting(storage: LocalStorage) -> list[int]:
    return [one.stat().st_size for one in storage.root.rglob(".partial/*")]


def test_a_file_is_stored_with_all_digests_and_what_its_server_says(server: Upstream, storage: LocalStorage) -> None:
    found = bring(errand(server.add("/file.bin", CONTENT, media_type="image/tiff")), storage)
    assert found.digests is not None
    assert (found.is_new, found.status, found.media_type) == (True, 200, "image/tiff")
    assert found.digests.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert found.digests.md5 == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert found.digests.sha1 == hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
    assert found.announced == Announced(len(CONTENT), server.files["/file.bin"].etag, MODIFIED)
    assert (kept(storage), waiting(storage)) == (CONTENT, [])
    asked = server.asked[0].headers
    assert (asked["user-agent"], asked["accept-encoding"]) == ("Data for Canada - roads", "identity")


def test_an_empty_file_is_a_file(server: Upstream, storage: LocalStorage) -> None:
    found = bring(errand(server.add("/empty", b"")), storage)
    assert found.digests is not None
    assert (found.digests.size_bytes, kept(storage)) == (0, b"")


@pytest.mark.parametrize("fault", ["reset", "truncate", "stall"])
def test_what_broke_off_goes_on_where_it_stopped(server: Upstream, storage: LocalStorage, fault: str) -> None:
    url = server.add("/file.bin", CONTENT, fault)
    said = Announced(len(CONTENT), server.files["/file.bin"].etag, "")
    with pytest.raises(UpstreamUnavailableError):
        bring(errand(url), storage)
    half = waiting(storage)[0]
    assert 0 < half < len(CONTENT)
    found = bring(errand(url, announced=said), storage)
    assert server.asked[-1].headers["range"] == f"bytes={half}-"
    assert server.asked[-1].headers["if-range"] == said.etag
    assert found.digests is not None
    assert found.digests.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (kept(storage), waiting(storage)) == (CONTENT, [])


def test_what_broke_off_begins_anew_when_the_file_is_another_one(server: Upstream, storage: LocalStorage) -> None:
    url = server.add("/file.bin", CONTENT, "truncate")
    said = Announced(len(CONTENT), server.files["/file.bin"].etag, "")
    with pytest.raises(UpstreamUnavailableError):
        bring(errand(url), storage)
    other = bytes(content_of(2, 300_000))
    server.add("/file.bin", other)
    found = bring(errand(url, announced=said), storage)
    assert "range" in server.asked[-1].headers
    assert found.digests is not None
    assert found.digests.sha256 == hashlib.sha256(other).hexdigest()
    assert (kept(storage), waiting(storage)) == (other, [])


def test_without_a_validator_nothing_is_continued(server: Upstream, storage: LocalStorage) -> None:
    url = server.add("/file.bin", CONTENT, "truncate", has_validators=False)
    for _ in range(2):
        try:
            bring(errand(url, announced=Announced(len(CONTENT))), storage)
        except UpstreamUnavailableError:
            assert waiting(storage) != [0]
    assert "range" not in server.asked[-1].headers
    assert (kept(storage), waiting(storage)) == (CONTENT, [])


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("404", UpstreamRefusedError, "status 404"),
        ("503:7", UpstreamUnavailableError, "7 s of patience"),
        ("429", UpstreamUnavailableError, "status 429"),
        ("wrong-length", UpstreamUnavailableError, "it gave 300000 of the 301000 bytes"),
        ("short-length", UpstreamUnavailableError, "another number of bytes than the 150000"),
        ("endless", UpstreamRefusedError, "more than the 5000000 bytes"),
        ("stall", UpstreamUnavailableError, "it fell silent"),
        ("redirect:http://10.1.2.3/x", UpstreamRefusedError, "no public address"),
        ("redirect:http://[::ffff:169.254.169.254]/x", UpstreamRefusedError, "no public address"),
        ("redirect:file:///etc/passwd", UpstreamRefusedError, "no web address"),
        ("redirect:/file.bin", UpstreamRefusedError, "redirects more than 5 times"),
    ],
)
def test_a_server_that_lies_is_named_and_nothing_of_it_is_stored(
    server: Upstream, storage: LocalStorage, fault: str, error: type[Exception], words: str
) -> None:
    url = server.add("/file.bin", CONTENT, fault, ALWAYS)
    with pytest.raises(error, match=words.replace("[", r"\[")):
        bring(errand(url), storage, most_bytes=5_000_000)
    assert storage.size(KEY) is None


def test_a_server_that_drips_is_left_in_time(server: Upstream, storage: LocalStorage) -> None:
    url = server.add("/file.bin", CONTENT, "drip")
    with pytest.raises(UpstreamUnavailableError, match="took too long"):
        bring(errand(url), storage, manners=replace(MANNERS, total_s=0.4))


def test_a_file_that_has_not_changed_is_not_sent_again(server: Upstream, storage: LocalStorage) -> None:
    url = server.add("/file.bin", CONTENT)
    first = bring(errand(url), storage)
    assert first.digests is not None
    again = errand(url, key=f"{KEY}-2", held=first.announced, held_sha256=first.digests.sha256)
    found = bring(again, storage)
    assert (found.status, found.digests, found.is_new) == (304, None, False)
    forced = bring(replace(again, held=Announced()), storage)
    assert (forced.status, forced.is_new) == (200, False)
    assert (storage.size(f"{KEY}-2"), waiting(storage)) == (None, [])


def test_what_was_committed_before_a_kill_is_found_and_not_fetched(server: Upstream, storage: LocalStorage) -> None:
    url = server.add("/file.bin", CONTENT)
    storage.write_bytes(KEY, CONTENT)
    found = bring(errand(url), storage)
    assert found.digests is not None
    assert (found.is_new, found.digests.sha256) == (True, hashlib.sha256(CONTENT).hexdigest())
    assert server.asked == []


def test_only_lasting_redirects_say_that_a_file_moved(server: Upstream, storage: LocalStorage) -> None:
    target = server.add("/new.bin", CONTENT)
    assert bring(errand(server.add("/old.bin", b"", f"moved:{target}")), storage).moved_to == target
    storage.delete(KEY)
    assert bring(errand(server.add("/other.bin", b"", f"redirect:{target}")), storage).moved_to == ""


def test_one_connection_serves_many_questions(server: Upstream) -> None:
    urls = [server.add(f"/{number}", b"words") for number in range(3)]
    caller = Caller(MANNERS)
    ends = set()
    for url in urls:
        with caller.ask("GET", url) as answer:
            assert b"".join(answer.blocks()) == b"words"
            ends.add(answer.line.end.getsockname())
    caller.close()
    assert len(ends) == 1


def test_a_caller_that_hangs_up_ends_its_question_and_asks_no_other(server: Upstream, storage: LocalStorage) -> None:
    url = server.add("/file.bin", CONTENT, "stall")
    caller = Caller(replace(MANNERS, stall_s=30, total_s=60))
    timer = threading.Timer(0.2, caller.hang_up)
    timer.start()
    terms = Terms(10_000_000, lambda _said: None, lambda _done: None, lambda: NOW)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailableError):
            fetch(errand(url), caller=caller, storage=storage, terms=terms)
    timer.join()
    assert server.count("GET", "/file.bin") == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 05 Mar 2026 06:01:00 GMT", 60.0),
        ("Thu, 05 Mar 2026 05:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("9" * 40, 999_999_999.0),
    ],
)
def test_the_patience_that_a_server_asks_for_is_read(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}, now=NOW) == seconds


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key with a certificate for data.example.org, which this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "data.example.org")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(tz=UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(tz=UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("data.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.fixture
def names(server: Upstream, certified: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the server speak TLS, and every name lead to it; gives the names that were asked for."""
    server.add("/file.bin", b"words")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    asked: list[str] = []

    def name_server(name: str, port: int, *_more: object, **_words: object) -> list[tuple[object, ...]]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    return asked


def test_name_and_certificate_are_those_of_the_web_address(server: Upstream, names: list[str]) -> None:
    place = f"data.example.org:{server.server_port}"
    with closing(Caller(MANNERS)) as caller, caller.ask("GET", f"https://{place}/file.bin") as answer:
        assert b"".join(answer.blocks()) == b"words"
    assert server.asked[0].headers["host"] == place
    assert names == ["data.example.org", "127.0.0.1"]


def test_the_certificate_of_another_name_is_refused(server: Upstream, names: list[str]) -> None:
    question = Caller(MANNERS).ask("GET", f"https://other.example.org:{server.server_port}/file.bin")
    with pytest.raises(UpstreamUnavailableError, match="certificate"), question:
        pass
    assert server.asked == []
