"""Move old checks out of the database into Parquet files in our own storage; nothing of the evidence is lost.

1. The newest check of each copy and level stays, and so does every failure and whatever an incident refers to.
2. A file is written whole before a row goes; it holds the rows of a range of keys, which are those that go. A kill
   between leaves rows that are written once more under the same name, with the same bytes.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from catalog.storage.connect import own_storage
from mirrors.models import Check, Incident
from releases.jobs.context import StepContext
from releases.jobs.registry import StepSpec

FOLDER = "evidence/checks"
ROWS_A_FILE = 20_000
SCHEMA = pa.schema(
    [
        ("check", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("dataset", pa.string()),
        ("version", pa.string()),
        ("file", pa.string()),
        ("sha256", pa.string()),
        ("mirror", pa.string()),
        ("level", pa.int8()),
        ("method", pa.string()),
        ("result", pa.string()),
        ("size_seen_bytes", pa.int64()),
        ("checksum_seen", pa.string()),
        ("checker", pa.string()),
    ]
)
COLUMNS = (
    *("pk", "at", "replica__asset__item__version__dataset__identifier"),
    *("replica__asset__item__version__number", "replica__asset__path", "replica__asset__sha256"),
    *("replica__mirror__slug", "level", "method", "result", "size_seen_bytes", "checksum_seen", "checker"),
)


def expand_move(period: int) -> Sequence[StepSpec]:
    return [StepSpec("mirrors.checks.old_checks.move_old_checks", period, "Parquet")]


def move_old_checks(step: StepContext, _period: int) -> None:
    """Write old checks to Parquet, a file of at most ROWS_A_FILE rows at a time, and remove them. Repeatable."""
    before, moved = timezone.now() - timedelta(days=settings.DFC_CHECKS_KEPT_DAYS), 0
    while keys := list(old_checks(before=before).values_list("pk", flat=True)[:ROWS_A_FILE]):
        own_storage().write_bytes(f"{FOLDER}/{keys[0]}-{keys[-1]}.parquet", written(keys))
        removed, _ = Check.objects.filter(pk__in=keys).delete()
        moved += removed
        step.progress(done_units=moved)


def old_checks(*, before: datetime) -> QuerySet[Check]:
    """Give the passed checks from before an instant that no page, rule or incident needs any more, by key."""
    newer = Check.objects.filter(
        replica=OuterRef("replica"), level=OuterRef("level"), result=Check.Result.PASSED, at__gt=OuterRef("at")
    )
    named = Incident.objects.filter(ended_by=OuterRef("pk"))
    passed = Check.objects.filter(result=Check.Result.PASSED, at__lt=before)
    return passed.filter(Exists(newer)).exclude(Exists(named)).order_by("pk")


def written(keys: Sequence[int]) -> bytes:
    """Write checks as one Parquet file, zstd; nothing of this moment is in it: the same rows give it again."""
    sink = BytesIO()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        for rows in batches(keys):
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    return sink.getvalue()


def batches(keys: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(keys), 500):
        found = Check.objects.filter(pk__in=keys[start : start + 500]).order_by("pk").values_list(*COLUMNS)
        yield [dict(zip(SCHEMA.names, row, strict=True)) for row in found]
