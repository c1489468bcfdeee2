"""How long the public pages take with 10,000 datasets and 1,000,000 items: one gunicorn process, no network.

    python benchmarks/pages.py [--datasets N] [--items N] [--requests N] [--keep FOLDER]

Fills a throw-away SQLite database (benchmarks/pages_rows.py), serves it, asks for each kind of page one request after
another, and prints one line a page. The exit code is 1 if the 95th percentile of any is over the bound. `--keep` puts
the database into a folder that stays, and uses what lies there already.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOUND_MS = 150
WARM_UP = 5
QUERIES = (
    "orthoimagery",
    "Colombie-Britannique",
    "québec réseau routier 2021",
    "cartes de Trois-Rivières",
    "2021A00053520005",
    "population census tract Halifax",
    "inondables",
    "zebra",
)
NAMES = """
import json
from catalog.models import Asset, Version
from catalog.search import LISTED
rows = Version.objects.filter(state__in=LISTED).order_by("pk").values_list("dataset__identifier", "number")
tiled = Version.objects.filter(items__tile="tile-100").values_list("dataset__identifier", "number").order_by("pk")
digests = Asset.objects.order_by("pk").values_list("sha256", "sha1", "md5")
print(json.dumps({"versions": list(rows), "tiled": list(tiled), "digests": list(digests[:2000])}))
"""


@dataclass(frozen=True)
class Page:
    """One kind of page, and the addresses that are asked for in turn."""

    name: str
    addresses: tuple[str, ...]
    status: int = 200


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DFC_SECRET_KEY": secrets.token_hex(32),
        "DFC_DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'pages.sqlite3'}",
    }


def manage(environ: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def prepare(folder: Path, environ: dict[str, str], datasets: int, items: int) -> None:
    """Make the database, unless it is there and whole."""
    done = folder / "filled"
    if done.exists():
        return
    manage(environ, "translations", "compile")
    manage(environ, "migrate", "--verbosity", "0")
    manage(environ, "collectstatic", "--noinput", "--verbosity", "0")
    code = f"from benchmarks.pages_rows import fill; fill({datasets}, {items})"
    manage(environ, "shell", "--verbosity", "0", "-c", code)
    done.touch()


@contextlib.contextmanager
def serving(environ: dict[str, str]) -> Iterator[int]:
    """Serve with one gunicorn process; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--workers", "1", "--threads", "1", "--worker-class", "gthread", "--no-control-socket")
    command = [sys.executable, "-m", "gunicorn", *words, "--log-level", "error", "--bind", f"127.0.0.1:{port}"]
    process = subprocess.Popen([*command, "dfc_site.wsgi"], cwd=ROOT, env=environ)
    try:
        await_answer(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def await_answer(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            ask(port, "/healthz", 200)
            return
        time.sleep(0.1)
    raise SystemExit("the server did not answer within 30 s")


def ask(port: int, address: str, status: int) -> float:
    """Ask once and read the whole answer; gives the milliseconds."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", address)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != status:
        raise SystemExit(f"{address}: status {answer.status} instead of {status}")
    return (time.perf_counter() - started) * 1000


def pages_of(names: dict[str, list[list[str]]], lot: random.Random) -> list[Page]:
    chosen = lot.sample(names["versions"], 60)
    versions = tuple(f"/en/datasets/{identifier}/v{number}/" for identifier, number in chosen)
    tiled = lot.sample(names["tiled"], min(20, len(names["tiled"])))
    tiled_pages = [f"/fr/datasets/{identifier}/v{number}/" for identifier, number in tiled]
    digests = [digest for row in lot.sample(names["digests"], 20) for digest in row]
    return [
        Page("home", ("/en/", "/fr/", "/en/?page=17", "/en/?region=ca-qc&from=2010&to=2015")),
        *(Page(f"search {query!r}", (f"/fr/?q={quoted(query)}",)) for query in QUERIES),
        Page("search, a digest", tuple(f"/en/?q={digest}" for digest in digests), status=302),
        Page("dataset", tuple(f"/fr/datasets/{identifier}/" for identifier, _ in chosen)),
        Page("version", versions),
        *([Page("version with tiles", tuple(tiled_pages))] if tiled_pages else []),
    ]


def quoted(query: str) -> str:
    return "".join(f"%{byte:02X}" for byte in query.encode())


def measured(port: int, page: Page, requests: int) -> list[float]:
    addresses = [page.addresses[number % len(page.addresses)] for number in range(requests + WARM_UP)]
    return sorted([ask(port, address, page.status) for address in addresses][WARM_UP:])


def report(page: Page, times: list[float]) -> bool:
    """Print the line of a page; true if it keeps the bound."""
    middle, high = statistics.median(times), times[max(0, round(len(times) * 0.95) - 1)]
    word = "kept" if high < BOUND_MS else "NOT KEPT"
    print(f"pages: {page.name}: p50 {middle:.0f} ms, p95 {high:.0f} ms, bound {BOUND_MS} ms {word}", flush=True)
    return high < BOUND_MS


def run(folder: Path, arguments: argparse.Namespace) -> int:
    environ = environment(folder)
    prepare(folder, environ, arguments.datasets, arguments.items)
    names = json.loads(manage(environ, "shell", "--verbosity", "0", "-c", NAMES))
    with serving(environ) as port:
        kept = [report(page, measured(port, page, arguments.requests)) for page in pages_of(names, random.Random(7))]
    return 0 if all(kept) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--datasets", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="a folder for the database, used again if it is there")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        return run(arguments.keep.resolve(), arguments)
    with tempfile.TemporaryDirectory(prefix="pages-") as scratch:
        return run(Path(scratch), arguments)


if __name__ == "__main__":
    sys.exit(main())
