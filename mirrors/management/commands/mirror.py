"""`manage.py mirror`: add, list and verify mirrors."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from catalog.errors import StewardshipError
from mirrors.add_mirror import MirrorEntry, add_mirror
from mirrors.connect import connect
from mirrors.models import Check, Mirror, Replica
from mirrors.verify import check_replica

Rows = list[dict[str, Any]]
UNCHECKED = "unchecked"


class Command(BaseCommand):
    help = "Add, list and verify mirrors."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        add = acts.add_parser("add", help="register a mirror")
        add.add_argument("slug")
        for name in ("kind", "endpoint", "public-url", "operator", "jurisdiction"):
            add.add_argument(f"--{name}", required=True)
        for name in ("name", "location"):
            add.add_argument(f"--{name}", default="")
        add.add_argument("--tier", default=Mirror.Tier.PRIMARY)
        add.add_argument(
            "--keeps-all", choices=["required", "best-effort"], help="also add a policy for all datasets"
        )
        add.add_argument("--dry-run", action="store_true")
        verify = acts.add_parser("verify", help="check the copies of one mirror, or of all")
        verify.add_argument("slug", nargs="?")
        verify.add_argument("--level", type=int, choices=Check.Level.values, default=Check.Level.FULL)
        for one in (add, verify, acts.add_parser("list", help="show all mirrors")):
            one.add_argument("--json", action="store_true")

    def handle(self, *, act: str, **options: Any) -> None:
        try:
            rows: Rows = {"add": self.add, "list": self.show, "verify": self.verify}[act](options)
        except StewardshipError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2))
        else:
            for row in rows:
                self.stdout.write("  ".join(str(value) for value in row.values()))
        results = {row["result"] for row in rows if "result" in row}
        if results & {Check.Result.DAMAGED, Check.Result.MISSING}:
            raise CommandError("At least one copy is damaged or missing; it was taken out of every list.")
        if UNCHECKED in results:
            raise CommandError("At least one copy could not be checked; nothing was written of it.")

    def add(self, options: dict[str, Any]) -> Rows:
        required = {"required": True, "best-effort": False}.get(options["keeps_all"] or "")
        fields = ("slug", "kind", "endpoint", "public_url", "operator", "jurisdiction", "name", "location", "tier")
        entry = MirrorEntry(**{name: options[name] for name in fields}, is_required=required)
        with transaction.atomic():
            mirror = add_mirror(entry, now=timezone.now())
            transaction.set_rollback(options["dry_run"])
        return [{"mirror": mirror.slug, "added": not options["dry_run"]}]

    def show(self, _options: dict[str, Any]) -> Rows:
        verified = Count("replicas", filter=Q(replicas__state=Replica.State.VERIFIED))
        mirrors = Mirror.objects.annotate(verified=verified, copies=Count("replicas"))
        return [
            {
                "mirror": one.slug,
                "kind": one.kind,
                "operator": one.operator,
                "jurisdiction": one.jurisdiction,
                "enabled": one.is_enabled,
                "verified": f"{one.verified}/{one.copies}",
            }
            for one in mirrors
        ]

    def verify(self, options: dict[str, Any]) -> Rows:
        replicas = Replica.objects.exclude(state=Replica.State.PENDING).select_related("asset", "mirror")
        if options["slug"]:
            if not Mirror.objects.filter(slug=options["slug"]).exists():
                raise CommandError(
                    f"Mirror {options['slug']!r}: none is registered under that name. Try mirror list."
                )
            replicas = replicas.filter(mirror__slug=options["slug"])
        return [self.verify_one(replica, options["level"]) for replica in replicas]

    def verify_one(self, replica: Replica, level: int) -> dict[str, Any]:
        """Check one copy; a mirror that is silent or cannot do the level does not keep the others from theirs."""
        row = {"level": f"L{level}", "mirror": replica.mirror.slug, "file": replica.asset.path}
        try:
            check = check_replica(replica, backend=connect(replica.mirror), level=level, now=timezone.now())
        except StewardshipError as error:
            return {"result": UNCHECKED, **row, "finding": str(error)}
        return {"result": check.result, **row}
