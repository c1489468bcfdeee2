"""`manage.py release`: what a curator does in the admin, with the same rules and history."""

import argparse
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from catalog.errors import StewardshipError
from catalog.management.rows import write_json, write_lines
from catalog.storage.connect import own_storage
from releases import draft
from releases.approve import approve_release
from releases.build import request_build
from releases.drafts.definition import Definition, read_definition
from releases.edit import check_edit, edit_release
from releases.find import find_release
from releases.management import differences, second_thoughts
from releases.management.acts import add_version, add_writing, user_of
from releases.models import Job, Release, Transition
from releases.submit import submit_release

CHANNEL = Transition.Channel.COMMAND


class Command(BaseCommand):
    help = "Draft, edit, build, submit, approve and look at releases; propose and take second thoughts about them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        for act, text in (
            ("draft", "Draft a version from a release.toml"),
            ("edit", "Replace a draft's release.toml"),
        ):
            one = acts.add_parser(act, help=text)
            one.add_argument("--from", dest="definition", type=Path, required=True, metavar="release.toml")
            one.add_argument("--sources", type=Path, help="folder of source files (default: sources/ beside it)")
            add_writing(one)
        for act, text in (
            ("build", "Build a draft twice and compare"),
            ("submit", "Submit a built release for review"),
            ("approve", "Approve a release in review; the last approval needed starts the publication"),
        ):
            one = acts.add_parser(act, help=text)
            add_version(one)
            one.add_argument("--reason", default="")
            if act == "approve":
                one.add_argument("--digest", help="the reviewed digest you looked at (default: the present one)")
            if act != "submit":
                one.add_argument("--wait", action="store_true", help="wait for the job to end, showing progress")
            add_writing(one)
        for act, text in (("status", "Show releases and their jobs"), ("export", "Print a release's release.toml")):
            one = acts.add_parser(act, help=text)
            add_version(one, nargs="?" if act == "status" else None)
            one.add_argument("--json", action="store_true")
        differences.add_acts(acts)
        second_thoughts.add_acts(acts)

    def handle(self, *, act: str, **options: Any) -> None:
        try:
            result = self.rehearse(act, options) if options.get("dry_run") else self.run(act, options)
            if options.get("wait") and "job" in result and not options["dry_run"]:
                self.wait(result["job"], quiet=options["json"])
                result |= self.outcome(act, options)
        except StewardshipError as error:
            raise CommandError(str(error)) from error
        self.show(result, options)

    def run(self, act: str, options: dict[str, Any]) -> dict[str, Any]:
        elsewhere = {**differences.ACTS, **second_thoughts.ACTS}
        carry_out = elsewhere[act] if act in elsewhere else getattr(self, act)
        result: dict[str, Any] = carry_out(options)
        return result

    def rehearse(self, act: str, options: dict[str, Any]) -> dict[str, Any]:
        """Do it in a transaction that is undone; what would leave the database is checked only."""
        with transaction.atomic():
            result = self.run(act, options)
            transaction.set_rollback(True)
        return result

    def draft(self, options: dict[str, Any]) -> dict[str, Any]:
        definition, offered = self.read(options)
        storage, by = own_storage(), user_of(options)
        if options["dry_run"]:
            draft.check_draft(definition, by=by, offered=offered, storage=storage)
            return {"release": draft.named(definition), "state": "draft"}
        release = draft.draft_release(definition, by=by, offered=offered, storage=storage, now=timezone.now())
        return describe(release)

    def edit(self, options: dict[str, Any]) -> dict[str, Any]:
        definition, offered = self.read(options)
        identifier, number = draft.named(definition).split(" ")
        release = find_release(identifier, number)
        words = {"by": user_of(options), "offered": offered, "storage": own_storage()}
        if options["dry_run"]:
            check_edit(release, definition, **words)
            return {"release": str(release), "state": "draft"}
        edit_release(release, definition, channel=CHANNEL, now=timezone.now(), **words)
        return describe(release)

    def build(self, options: dict[str, Any]) -> dict[str, Any]:
        release = find_release(options["dataset"], options["number"])
        job = request_build(release, by=user_of(options), channel=CHANNEL, now=timezone.now())
        return describe(release) | {"job": job.key}

    def submit(self, options: dict[str, Any]) -> dict[str, Any]:
        release = find_release(options["dataset"], options["number"])
        submit_release(release, by=user_of(options), channel=CHANNEL, now=timezone.now(), reason=options["reason"])
        return describe(release)

    def approve(self, options: dict[str, Any]) -> dict[str, Any]:
        release = find_release(options["dataset"], options["number"])
        approve_release(
            release,
            by=user_of(options),
            channel=CHANNEL,
            seen_digest=options["digest"] or release.reviewed_digest,
            now=timezone.now(),
            reason=options["reason"],
        )
        if release.state != Release.State.PUBLISHING:
            return describe(release)
        return describe(release) | {"job": f"publish:{options['dataset']}:{release.version.number}"}

    def status(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["dataset"] and options["number"]:
            return describe(find_release(options["dataset"], options["number"]))
        releases = Release.objects.select_related("version__dataset", "author").order_by("-created_at")
        if options["dataset"]:
            releases = releases.filter(version__dataset__identifier=options["dataset"])
        return {"releases": [describe(release) for release in releases[:200]]}

    def export(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"definition": find_release(options["dataset"], options["number"]).definition}

    def read(self, options: dict[str, Any]) -> tuple[Definition, dict[str, Path]]:
        path: Path = options["definition"]
        try:
            definition = read_definition(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path}: cannot be read ({error}). Name a release.toml.") from error
        folder = options["sources"] or path.parent / "sources"
        return definition, {source.name: folder / source.name for source in definition.sources}

    def wait(self, key: str, *, quiet: bool) -> None:
        """Follow a job until it has ended; raises CommandError unless it ended well."""
        while (job := Job.objects.get(key=key)).state == Job.State.OPEN:
            if not quiet:
                done, total = job.steps.filter(state__in=["done", "skipped"]).count(), job.steps.count()
                self.stderr.write(f"\r{key}: {done} of {total} steps", ending="")
            time.sleep(0.5)
        self.stderr.write("")
        if job.state != Job.State.DONE:
            errors = " ".join(step.error for step in job.steps.exclude(error=""))
            raise CommandError(f"{key}: {job.get_state_display()}. {errors}")

    def outcome(self, act: str, options: dict[str, Any]) -> dict[str, Any]:
        """Describe a release after its job; a build that gave the draft back raises CommandError with its finding."""
        release = find_release(options["dataset"], options["number"])
        last = release.transitions.last()
        if act == "build" and last is not None and last.source == "building" and last.to == "draft":
            raise CommandError(f"{release}: {last.reason}")
        return describe(release)

    def show(self, result: dict[str, Any], options: dict[str, Any]) -> None:
        if options.get("json"):
            write_json(self.stdout, result)
        elif "definition" in result:
            self.stdout.write(result["definition"], ending="")
        else:
            rows = next((rows for rows in result.values() if isinstance(rows, list)), [result])
            write_lines(self.stdout, rows, "Would be: " if options.get("dry_run") else "")


def describe(release: Release) -> dict[str, Any]:
    release.refresh_from_db()
    return {"release": str(release.version), "state": release.state, "reviewed_digest": release.reviewed_digest}
