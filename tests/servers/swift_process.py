# mypy: ignore-errors
"""OpenStack Swift with its S3 interface in one process: run by the Python that has Swift, told a folder and a port.

    python swift_process.py FOLDER PORT

One account, container, object and proxy server each, as its operators run them, on one device. It says "ready" when
it takes connections, and ends when its standard input does: so never later than the test that started it.
"""

import os
import socket
import sys
from array import array
from pathlib import Path

import eventlet

eventlet.monkey_patch()
os.fsync = os.fdatasync = lambda _descriptor: None  # what tests write need not survive a power cut

from eventlet import wsgi  # noqa: E402  Swift has to find the patched standard library
from swift.common import utils  # noqa: E402
from swift.common.ring import RingData  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402

STORES = ("account", "container", "object")
PARTITIONS = 16
PIPELINE = (
    "catch_errors gatekeeper healthcheck listing_formats cache s3api tempauth copy bulk slo dlo "
    "versioned_writes symlink proxy-server"
)
STORE = """
[DEFAULT]
devices = {folder}/devices
mount_check = false
swift_dir = {folder}
disable_fallocate = true
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
allow_open_expired = false
"""
PROXY = """
[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = {pipeline}
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
min_segment_size = 1
max_upload_part_num = 10000
"""
FILTERS = ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "copy", "bulk", "slo", "dlo", "symlink")


def write_configuration(folder: Path, ports: dict[str, int]) -> None:
    """Write what the four servers read: one file each, and a ring with one device for each store."""
    (folder / "devices" / "d1").mkdir(parents=True)
    for name, port in ports.items():
        (folder / f"{name}.conf").write_text(STORE.format(folder=folder, name=name), encoding="utf-8")
        device = {"id": 0, "zone": 1, "region": 1, "ip": "127.0.0.1", "port": port, "device": "d1", "weight": 1}
        RingData([array("H", [0] * PARTITIONS)], [device], 32 - 4).save(str(folder / f"{name}.ring.gz"))
    proxy = PROXY.format(folder=folder, pipeline=PIPELINE)
    proxy += "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in FILTERS)
    proxy += "[filter:versioned_writes]\nuse = egg:swift#versioned_writes\nallow_versioned_writes = true\n"
    proxy += "[filter:cache]\nuse = egg:swift#memcache\n"
    (folder / "proxy.conf").write_text(proxy, encoding="utf-8")


def serve(folder: Path, port: int) -> None:
    """Serve until standard input ends."""
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n", encoding="utf-8")
    utils.SWIFT_CONF_FILE = str(folder / "swift.conf")
    utils.validate_configuration()
    listening = {name: eventlet.listen(("127.0.0.1", 0)) for name in STORES}
    write_configuration(folder, {name: one.getsockname()[1] for name, one in listening.items()})
    listening["proxy"] = eventlet.listen(("127.0.0.1", port))
    for name, one in listening.items():
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = loadapp(str(folder / f"{name}.conf"))
        eventlet.spawn(wsgi.server, one, app, log_output=False, max_size=100, keepalive=True)
    sys.stdout.write(f"ready {listening['proxy'].getsockname()[1]}\n")
    sys.stdout.flush()
    eventlet.tpool.execute(sys.stdin.buffer.read)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
