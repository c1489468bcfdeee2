"""Write a container image as a docker-archive of one layer, and the tiny image with which an engine is tried.

The layer, the configuration and so the image's id depend on nothing but what is given: no time is in them.
"""

import hashlib
import io
import json
import platform
import struct
import tarfile
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PROBE_TAG = "localhost/dfc-probe:1"
# exit(0), as machine code with the ELF name of its processor.
PROGRAMS = {
    "x86_64": (62, bytes.fromhex("31ff b83c000000 0f05")),
    "aarch64": (183, bytes.fromhex("000080d2 a80b80d2 010000d4")),
}
ELF_HEADER, PROGRAM_HEADER, BASE = 64, 56, 0x400000


def architecture() -> str:
    """Give this processor's name as images spell it, such as `amd64`."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def write_probe(target: Path) -> str | None:
    """Write the image that holds one program, `/true`; gives its id, None on a processor we have no program for."""
    program = PROGRAMS.get(platform.machine())
    if program is None:
        return None
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        add(tar, "true", elf(*program), mode=0o755)
    return write_archive(target, layer.getvalue(), tag=PROBE_TAG, config={"Cmd": ["/true"]})


def elf(machine: int, code: bytes) -> bytes:
    """Give a static 64-bit Linux program of one loaded segment (System V ABI, ELF-64)."""
    length = ELF_HEADER + PROGRAM_HEADER + len(code)
    entry = BASE + ELF_HEADER + PROGRAM_HEADER
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, entry, ELF_HEADER, 0, 0, ELF_HEADER, PROGRAM_HEADER, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, length, length, 0x1000)
    return ident + header + segment + code


def write_archive(target: Path, layer: bytes, *, tag: str, config: dict[str, object]) -> str:
    """Write an image of one layer, a tar; gives its id, the sha256 of its configuration."""
    document = {
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "1970-01-01T00:00:00Z"}],
    }
    body = json.dumps(document, sort_keys=True).encode()
    image = hashlib.sha256(body).hexdigest()
    listing = [{"Config": f"{image}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        add(tar, "layer.tar", layer)
        add(tar, f"{image}.json", body)
        add(tar, "manifest.json", json.dumps(listing).encode())
    return image


def add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
