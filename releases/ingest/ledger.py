"""The ledger of an ingest: what became of each file, as zstd Parquet and as CSV, at any time."""

import csv
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.storage.base import Storage
from catalog.storage.connect import own_storage
from releases import archive
from releases.draft import blocks
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec
from releases.models import Ingest, IngestFile

INSTANT = pa.timestamp("us", tz="UTC")
COLUMNS = {
    "position": pa.int32(),
    "url": pa.string(),
    "name": pa.string(),
    "state": pa.string(),
    "finding": pa.string(),
    "http_status": pa.int16(),
    "moved_to": pa.string(),
    "media_type": pa.string(),
    "etag": pa.string(),
    "last_modified": pa.string(),
    "announced_bytes": pa.int64(),
    "size_bytes": pa.int64(),
    "sha256": pa.string(),
    "md5": pa.string(),
    "sha1": pa.string(),
    "storage_key": pa.string(),
    "edition": pa.int32(),
    "attempts": pa.int16(),
    "error": pa.string(),
    "started_at": INSTANT,
    "finished_at": INSTANT,
}
SCHEMA = pa.schema(COLUMNS)
ROWS_AT_ONCE = 5000


def rows_of(ingest: Ingest) -> Iterator[Sequence[Any]]:
    """Give the ledger's rows in the order of the list, a few at a time from the database."""
    files = IngestFile.objects.filter(ingest=ingest).order_by("position")
    yield from files.values_list(*COLUMNS).iterator(ROWS_AT_ONCE)


def write_parquet(ingest: Ingest, target: BinaryIO) -> None:
    """Write the ledger as Parquet, compressed with zstd; texts that are empty are null."""
    with pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
        for batch in batches(rows_of(ingest)):
            writer.write_batch(batch)


def batches(rows: Iterator[Sequence[Any]]) -> Iterator[pa.RecordBatch]:
    chunk: list[Sequence[Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == ROWS_AT_ONCE:
            yield batch_of(chunk)
            chunk = []
    if chunk:
        yield batch_of(chunk)


def batch_of(rows: list[Sequence[Any]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array([None if value == "" else value for value in column], kind)
        for column, kind in zip(columns, COLUMNS.values(), strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def csv_lines(ingest: Ingest) -> Iterator[str]:
    """Give the ledger as CSV (RFC 4180), line by line; instants as ISO 8601 in UTC."""
    yield csv_line(list(COLUMNS))
    for row in rows_of(ingest):
        yield csv_line([value.isoformat() if hasattr(value, "isoformat") else value for value in row])


def csv_line(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()


def ledger_keys(ingest: Ingest) -> tuple[str, str]:
    """Give where the ledger of a run is kept, as Parquet and as CSV."""
    place = f"{archive.folder(ingest.package, ingest.identifier)}/ledger-{ingest.pk}-{ingest.run}"
    return f"{place}/ledger.parquet", f"{place}/ledger.csv"


def keep_ledger(ingest: Ingest, storage: Storage) -> None:
    """Store the ledger beside the data, in the place of an earlier one of the same run."""
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        for key, path in zip(ledger_keys(ingest), written(ingest, Path(folder)), strict=True):
            with storage.receive(key, tag="ledger") as receiver:
                receiver.restart()
                for block in blocks(path, 0):
                    receiver.append(block)
                receiver.commit()


def written(ingest: Ingest, folder: Path) -> tuple[Path, Path]:
    """Write both forms into a folder."""
    as_parquet, as_csv = folder / "ledger.parquet", folder / "ledger.csv"
    with as_parquet.open("wb") as file:
        write_parquet(ingest, file)
    with as_csv.open("w", encoding="utf-8", newline="") as text:
        text.writelines(csv_lines(ingest))
    return as_parquet, as_csv


def expand_ledger(ingest_id: int) -> Sequence[StepSpec]:
    return [StepSpec("releases.ingest.ledger.store_ledger", ingest_id, Ingest.objects.get(pk=ingest_id).identifier)]


def store_ledger(_step: StepContext, ingest_id: int) -> None:
    """Store the ledger of an ingest. Safe to run twice."""
    keep_ledger(Ingest.objects.get(pk=ingest_id), own_storage())
