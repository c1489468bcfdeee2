"""A Zenodo for tests: one stand-in a process, as new for each test, and mirrors that lie there."""

import atexit
import threading
from functools import cache
from typing import Any

from catalog.addresses import networks
from mirrors.backends.zenodo import ZenodoMirror
from mirrors.backends.zenodo_client import Account, ZenodoClient
from tests.fakes.zenodo import TOKEN, FakeZenodo

LOOPBACK = networks(["127.0.0.0/8"])
SITE = "https://zenodo.example.org"


@cache
def the_server() -> FakeZenodo:
    server = FakeZenodo()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    atexit.register(server.server_close)
    return server


def zenodo() -> FakeZenodo:
    """Give the stand-in of this process, as if nobody had asked it anything yet."""
    server = the_server()
    server.forget()
    return server


def mirror_at(server: FakeZenodo, *, token: str = TOKEN, community: str = "", **facts: Any) -> ZenodoMirror:
    account = Account(**{"api": server.api, "token": token, "allowed": LOOPBACK, "pause_s": 0.001, **facts})
    return ZenodoMirror(ZenodoClient(account, sleep=lambda _wait_s: None), SITE, community=community, settle_s=7)
