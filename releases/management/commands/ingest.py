"""`manage.py ingest`: bring upstream files in, with the same rules as in the admin."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from catalog.errors import StewardshipError
from catalog.management.rows import write_json, write_lines
from catalog.storage.connect import own_storage
from releases.ingest.begin import IngestEntry, begin_ingest, check_entry
from releases.ingest.figures import figures
from releases.ingest.ledger import csv_lines, write_parquet
from releases.ingest.run import job_key
from releases.ingest.sources import sources_toml
from releases.ingest.steer import (
    change_concurrency,
    fetch_again,
    find_ingest,
    pause_ingest,
    probe_again,
    retry_files,
    start_ingest,
)
from releases.management.acts import add_writing, user_of
from releases.models import Ingest, Job

ACTS = (
    ("probe", "Probe its files again"),
    ("start", "Fetch what waits, after the probe"),
    ("pause", "Pause it; what came is kept"),
    ("resume", "Go on after a pause"),
    ("retry", "Try failed files again"),
    ("again", "Ask for every file once more; what has not changed is not stored again"),
    ("concurrency", "Let so many files be fetched at once"),
)
SHOWN = 200


class Command(BaseCommand):
    help = "Bring upstream files in: probe, fetch, pause, retry, look at the ledger."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        self.add_new(acts.add_parser("new", help="Begin an ingest: its files are probed, nothing is stored"))
        for act, words in ACTS:
            one = acts.add_parser(act, help=words)
            one.add_argument("ingest", type=int, metavar="NUMBER")
            if act == "retry":
                one.add_argument("--file", type=int, metavar="PRIORITY", help="only this file (default: all failed)")
            if act == "again":
                one.add_argument("--force", action="store_true", help="do not ask whether anything changed")
            if act == "concurrency":
                one.add_argument("count", type=int)
            add_writing(one)
            if act in {"probe", "start", "resume", "retry", "again"}:
                self.add_wait(one)
        for act, words in (
            ("status", "Show ingests"),
            ("ledger", "Write the ledger"),
            ("sources", "Print [[sources]]"),
        ):
            one = acts.add_parser(act, help=words)
            one.add_argument("ingest", type=int, metavar="NUMBER", nargs="?" if act == "status" else None)
            one.add_argument("--json", action="store_true")
            if act == "ledger":
                one.add_argument(
                    "--out", type=Path, metavar="FILE", help="a .parquet or .csv (default: CSV, printed)"
                )

    def add_new(self, new: argparse.ArgumentParser) -> None:
        new.add_argument("dataset", help="identifier of the dataset, which need not exist yet")
        origin = new.add_mutually_exclusive_group(required=True)
        origin.add_argument("--list", type=Path, metavar="FILE", help="addresses, one on a line; - reads them here")
        origin.add_argument("--index", metavar="FILE-OR-ADDRESS", help="Parquet, CSV or GeoPackage; needs --select")
        origin.add_argument("--prefix", metavar="ADDRESS", help="a folder's page, or a public S3 bucket")
        origin.add_argument("--files", type=Path, nargs="+", metavar="FILE", help="files of this machine")
        origin.add_argument("--repository", metavar="ADDRESS", help="a git repository over https")
        new.add_argument("--select", default="", metavar="COLUMN-OR-QUERY", help="what in the index holds addresses")
        new.add_argument("--concurrency", type=int, default=12)
        self.add_wait(new)
        add_writing(new)

    def add_wait(self, one: argparse.ArgumentParser) -> None:
        one.add_argument("--wait", action="store_true", help="wait for the job to end, showing progress")

    def handle(self, *, act: str, **options: Any) -> None:
        try:
            result = self.rehearse(act, options) if options.get("dry_run") else getattr(self, act)(options)
            if options.get("wait") and not options["dry_run"]:
                ingest = find_ingest(result["ingest"])
                self.wait(ingest, quiet=options["json"])
                result = self.outcome(act, ingest)
        except StewardshipError as error:
            raise CommandError(str(error)) from error
        if result is not None:
            self.show(result, options)

    def rehearse(self, act: str, options: dict[str, Any]) -> dict[str, Any]:
        """Do it in a transaction that is undone; what would leave the database is checked only."""
        with transaction.atomic():
            result: dict[str, Any] = getattr(self, act)(options)
            transaction.set_rollback(True)
        return result

    def new(self, options: dict[str, Any]) -> dict[str, Any]:
        entry, by = self.entry(options), user_of(options)
        if options["dry_run"]:
            listed = check_entry(entry, by=by)
            return {"dataset": entry.identifier, "files": len(listed.urls) if listed else len(entry.files) or None}
        return describe(begin_ingest(entry, by=by, storage=own_storage(), now=timezone.now()))

    def entry(self, options: dict[str, Any]) -> IngestEntry:
        words = {"identifier": options["dataset"], "concurrency": options["concurrency"]}
        if options["list"]:
            return IngestEntry(**words, origin=Ingest.Origin.URLS, text=read(options["list"]))
        if options["prefix"]:
            return IngestEntry(**words, origin=Ingest.Origin.PREFIX, address=options["prefix"])
        if options["repository"]:
            return IngestEntry(**words, origin=Ingest.Origin.REPOSITORY, address=options["repository"])
        if options["files"]:
            files = {path.name: existing(path) for path in options["files"]}
            return IngestEntry(**words, origin=Ingest.Origin.UPLOAD, files=files)
        words |= {"origin": Ingest.Origin.INDEX, "selection": options["select"]}
        if options["index"].startswith(("http://", "https://")):
            return IngestEntry(**words, address=options["index"])
        return IngestEntry(**words, index=existing(Path(options["index"])))

    def probe(self, options: dict[str, Any]) -> dict[str, Any]:
        ingest = find_ingest(options["ingest"])
        probe_again(ingest, by=user_of(options))
        return describe(ingest)

    def start(self, options: dict[str, Any]) -> dict[str, Any]:
        ingest = find_ingest(options["ingest"])
        start_ingest(ingest, by=user_of(options))
        return describe(ingest)

    resume = start

    def pause(self, options: dict[str, Any]) -> dict[str, Any]:
        ingest = find_ingest(options["ingest"])
        pause_ingest(ingest, by=user_of(options))
        return describe(ingest)

    def retry(self, options: dict[str, Any]) -> dict[str, Any]:
        ingest = find_ingest(options["ingest"])
        retry_files(ingest, by=user_of(options), position=options["file"])
        return describe(ingest)

    def again(self, options: dict[str, Any]) -> dict[str, Any]:
        ingest = find_ingest(options["ingest"])
        fetch_again(ingest, by=user_of(options), is_forced=options["force"])
        return describe(ingest)

    def concurrency(self, options: dict[str, Any]) -> dict[str, Any]:
        ingest = find_ingest(options["ingest"])
        change_concurrency(ingest, options["count"], by=user_of(options))
        return describe(ingest)

    def status(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["ingest"] is not None:
            return describe(find_ingest(options["ingest"]))
        return {"ingests": [describe(ingest) for ingest in Ingest.objects.all()[:SHOWN]]}

    def sources(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"text": sources_toml(find_ingest(options["ingest"]))}

    def ledger(self, options: dict[str, Any]) -> dict[str, Any] | None:
        ingest, out = find_ingest(options["ingest"]), options["out"]
        if out is None:
            for line in csv_lines(ingest):
                self.stdout.write(line, ending="")
            return None
        if out.suffix == ".parquet":
            with out.open("wb") as file:
                write_parquet(ingest, file)
        else:
            with out.open("w", encoding="utf-8", newline="") as text:
                text.writelines(csv_lines(ingest))
        return {"ledger": str(out)}

    def wait(self, ingest: Ingest, *, quiet: bool) -> None:
        """Follow a job until it has ended; raises CommandError unless it ended well."""
        while (job := Job.objects.filter(key=job_key(ingest)).first()) and job.state == Job.State.OPEN:
            if not quiet:
                self.stderr.write(f"\r{progress(job)}", ending="")
            time.sleep(0.5)
        if not quiet:
            self.stderr.write("")
        if job is not None and job.state != Job.State.DONE:
            errors = " ".join(step.error for step in job.steps.exclude(error=""))
            raise CommandError(f"{job.key}: {job.get_state_display()}. {errors}")

    def outcome(self, act: str, ingest: Ingest) -> dict[str, Any]:
        """Describe an ingest after its job; raises CommandError where files failed to come in."""
        result = describe(ingest)
        if act not in {"new", "probe"} and ingest.state == Ingest.State.INCOMPLETE:
            raise CommandError(
                f"{ingest}: {result['failed']} of {result['files']} files failed. Look at its ledger, then retry."
            )
        return result

    def show(self, result: dict[str, Any], options: dict[str, Any]) -> None:
        if options.get("json"):
            write_json(self.stdout, result)
        elif "text" in result:
            self.stdout.write(result["text"])
        else:
            named = (
                {name: f"{name} {value}" for name, value in row.items()} for row in result.get("ingests", [result])
            )
            write_lines(self.stdout, named, "Would be: " if options.get("dry_run") else "")


def describe(ingest: Ingest) -> dict[str, Any]:
    """Give an ingest as one row: counts by state and by finding of the probe, and bytes."""
    ingest.refresh_from_db()
    found = figures(ingest)
    row = {"ingest": ingest.pk, "dataset": ingest.identifier, "state": ingest.state, "files": found.files}
    counts = {one.word: one.files for one in (*found.states, *found.findings)}
    return row | counts | {"announced_bytes": found.announced_bytes, "kept_bytes": found.kept_bytes}


def progress(job: Job) -> str:
    step = job.steps.order_by("stage", "position").last()
    if step is None:
        return job.key
    mib = f"{step.done_bytes >> 20} of {(step.total_bytes or 0) >> 20} MiB"
    return f"{job.key}: {step.done_units} of {step.total_units or '?'} files, {mib}"


def read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: cannot be read ({error}). Name a text file of addresses.") from error


def existing(path: Path) -> Path:
    if not path.is_file():
        raise CommandError(f"{path}: there is no such file. Correct its name.")
    return path
