"""An Internet Archive for tests: one stand-in a process, as new for each test, and mirrors that lie there."""

import atexit
import threading
from functools import cache
from typing import Any

from mirrors.backends.internet_archive import InternetArchiveMirror
from mirrors.backends.internet_archive_client import Account
from tests.fakes.internet_archive import ACCESS, SECRET, InternetArchive


@cache
def the_server() -> InternetArchive:
    server = InternetArchive()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    atexit.register(server.server_close)
    return server


def archive() -> InternetArchive:
    """Give the stand-in of this process, as if nobody had asked it anything yet."""
    server = the_server()
    server.forget()
    return server


def mirror_at(server: InternetArchive, **facts: Any) -> InternetArchiveMirror:
    given = {"slug": "archive", "access_key": ACCESS, "secret_key": SECRET, "names": "DFC_MIRROR_ARCHIVE_"}
    return InternetArchiveMirror(Account(**{**given, "endpoint": server.url, "settle_s": 7, **facts}))
