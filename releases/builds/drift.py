"""Known causes of drift between two builds, each with the switch that fixes it. Pure.

Each cause is recognised by what the two files hold, never by a name alone. A difference of no known cause gets the
general advice, so that there is always a next step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.sentences import Sentence
from catalog.sentences import sentence as _
from releases.builds.drift_files import READ_ERRORS, probe

MOST = 6
UNKNOWN = "unknown"
CAUSES: Mapping[str, Sentence] = {
    "gzip-time": _(
        "The gzip header holds the time of packing. Use `gzip -n`, or gzip.GzipFile(…, mtime=0, filename='')."
    ),
    "gzip-name": _("The gzip header holds the name of a file. Use `gzip -n`, or gzip.GzipFile(…, filename='')."),
    "tar-times": _(
        "The archive holds the times of files. Use `tar --mtime=@$SOURCE_DATE_EPOCH`, or set TarInfo.mtime."
    ),
    "tar-owners": _("The archive holds who owned the files. Use `tar --owner=0 --group=0 --numeric-owner`."),
    "archive-order": _(
        "The archive lists its files in another order. Use `tar --sort=name`, or give zip a sorted list."
    ),
    "zip-times": _(
        "The archive holds the times of files. `touch --date=@$SOURCE_DATE_EPOCH` them, or set ZipInfo.date_time."
    ),
    "zip-extra": _("The archive holds extra fields of this machine, such as owners. Use `zip -X -D`."),
    "parquet-writer": _(
        "The file names the version of its writer. Pin that package, and build both times in the same environment."
    ),
    "parquet-metadata": _("The metadata of the file differ. Write no time into them but SOURCE_DATE_EPOCH."),
    "parquet-layout": _(
        "The rows are the same, but lie in other row groups or encodings. Fix row_group_size and compression, "
        "and leave preserve_insertion_order as it is."
    ),
    "row-order": _(
        "The rows are the same in another order, as threads end. "
        "Order by a unique key: ORDER BY in SQL, sort_by in Arrow."
    ),
    "float-sum": _(
        "Sums of floating-point numbers differ in their last digits, since threads add in any order. "
        "Sum DECIMAL, or set threads to 1 (`SET threads = 1` in DuckDB)."
    ),
    "gpkg-time": _(
        "The GeoPackage holds the time of its last change. Set OGR_CURRENT_DATE to the time of SOURCE_DATE_EPOCH, "
        "as in 2026-01-02T03:04:05Z."
    ),
    "mbtiles-order": _("The tiles are the same in another order, as threads end. Set TIPPECANOE_MAX_THREADS=1."),
    "sqlite-order": _("The rows are the same, inserted in another order. Insert them by a unique key, then VACUUM."),
    "sqlite-pages": _(
        "The rows are the same, but lie elsewhere in the file. VACUUM at the end, from one connection."
    ),
    "duckdb-file": _("A database of DuckDB is not the same twice. Publish Parquet, written from it with ORDER BY."),
    "png-time": _("The picture holds its time or the words of a program. Write it without tIME and text chunks."),
    "line-order": _(
        "The lines are the same in another order. Sort what comes from folders, sets, joins and threads."
    ),
    "set-order": _(
        "The same characters stand in another order, as in a set or a dictionary that is written. "
        "Write sorted(…), or json.dumps(…, sort_keys=True)."
    ),
    "text-time": _("A time of its own is written. Take SOURCE_DATE_EPOCH, or write none."),
    "random-id": _("A random identifier is written. Derive it from the content, for example with uuid.uuid5."),
    "folder-name": _("The name of a folder of this run is written. Write names relative to --out or --sources."),
    UNKNOWN: _("None of the known causes. Look for times, random numbers, or an order that nothing fixes."),
}


@dataclass(frozen=True)
class Advice:
    """One known cause of a difference; `found` are the words that show it, empty where there are none."""

    cause: str
    found: str


def worded(cause: str) -> Sentence:
    """Say a cause and its switch."""
    return CAUSES.get(cause, CAUSES[UNKNOWN])


def advise(first: Path, second: Path) -> list[Advice]:
    """Give what is known to make two files differ, each cause once, at most MOST; never empty."""
    found: dict[str, Advice] = {}
    try:
        for cause, words in probe(first, second):
            found.setdefault(cause, Advice(cause, words))
            if len(found) == MOST:
                break
    except READ_ERRORS:  # a file that is broken, or only looks like its format
        pass
    return list(found.values()) or [Advice(UNKNOWN, "")]
