"""The `[[sources]]` of a release.toml for what an ingest keeps, ready to be copied."""

import json
from collections.abc import Iterator

from releases.ingest.errand import UNKNOWN_TYPE
from releases.ingest.lists import different_names
from releases.models import Ingest, IngestFile


def sources_toml(ingest: Ingest) -> str:
    """Give one table a file, in the order of the list; a release that names them takes the bytes from where they lie.

    Two files of one name get different ones. Uploaded files have no address; a line says that one has to be written.
    """
    files = list(ingest.files.kept().order_by("position"))
    names = different_names((row.name, row.url or row.name) for row in files)
    return "\n".join(table for row, name in zip(files, names, strict=True) for table in lines(row, name))


def lines(row: IngestFile, name: str) -> Iterator[str]:
    yield "[[sources]]"
    yield f"name = {text(name)}"
    yield (
        f"url = {text(row.url)}" if row.url else '# url: write where the file comes from, such as its page\nurl = ""'
    )
    yield f"sha256 = {text(row.sha256)}"
    yield f"size_bytes = {row.size_bytes}"
    yield f"media_type = {text(row.media_type or UNKNOWN_TYPE)}"
    yield ""


def text(value: str) -> str:
    """Write a basic string of TOML; JSON's escapes are all TOML's too."""
    return json.dumps(value, ensure_ascii=False)
