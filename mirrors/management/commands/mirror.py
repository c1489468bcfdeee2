"""`manage.py mirror`: add, list, examine, probe, verify, pause, resume; adopt what lies there, discard drafts."""

import argparse
from collections.abc import Iterable
from dataclasses import fields
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from catalog.errors import StewardshipError
from catalog.management.rows import ActsCommand, Rows
from mirrors.checks import probe
from mirrors.checks.recheck import look_again
from mirrors.connect import connect
from mirrors.deposits import adopt
from mirrors.deposits.discard import discard_deposit, refuse_undiscardable
from mirrors.models import Check, Deposit, Mirror, MirrorProbe, Replica
from mirrors.registry.add_mirror import add_mirror
from mirrors.registry.doctor import examine
from mirrors.registry.examinations import keep_examination
from mirrors.registry.mirror_entry import MirrorEntry
from mirrors.registry.pause import pause_mirror, resume_mirror
from mirrors.replicate import find
from mirrors.verify import look

UNCHECKED = "unchecked"
OF_SERVICES = {
    "bucket": "of an S3 service",
    "prefix": "what stands before every key, with a slash at the end",
    "region": "of an S3 service",
    "addressing": "whether the bucket stands in the path or in the host name: auto, path or virtual",
    "storage-class": "of an S3 service; its own if left out",
    "upload-checksum": "what each part carries, to be checked on arrival: sha256 or md5",
    "collection": "of the Internet Archive, or community of Zenodo",
    "owner-email": "who is told before the mirror is disabled",
}
NUMBERS = {
    "part-mib": int,
    "settle-s": int,
    "capacity-bytes": int,
    "daily-read-bytes": int,
    "cost-per-gb-month": Decimal,
}
ENDINGS = (
    (
        {adopt.Result.OTHER, adopt.Result.FOREIGN},
        "At least one file or record there is not what we published; it was left alone.",
    ),
    ({"bad"}, "At least one thing that a mirror needs is missing. Mend it before the mirror is used."),
    (
        {Check.Result.DAMAGED, Check.Result.MISSING},
        "At least one copy is damaged or missing; it was taken out of every list.",
    ),
    ({UNCHECKED}, "At least one copy could not be checked; nothing was written of it."),
    (
        {MirrorProbe.Result.FAILED},
        "At least one mirror does not answer; it was taken out of every list until a probe passes.",
    ),
)


class Command(ActsCommand):
    help = "Add, list, examine, probe, verify, pause and resume mirrors; adopt and discard deposits there."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        self.add_words_of_add(acts.add_parser("add", help="register a mirror"))
        probing = acts.add_parser("probe", help="ask one mirror, or all in service, as a client does")
        verifying = acts.add_parser("verify", help="check the copies of one mirror, or of all")
        for one in (probing, verifying):
            one.add_argument("slug", nargs="?")
            one.add_argument("--dry-run", action="store_true", help="look, and write nothing")
        verifying.add_argument("--level", type=int, choices=Check.Level.values, default=Check.Level.FULL)
        for name, words in (("pause", "send nobody there"), ("resume", "bring a paused mirror back")):
            one = acts.add_parser(name, help=words)
            one.add_argument("slug")
            one.add_argument("--by", required=True, help="user name")
            one.add_argument("--reason", default="")
            one.add_argument("--dry-run", action="store_true")
        self.add_words_of_adopt(acts.add_parser("adopt", help="take what lies at a mirror already into our rows"))
        acts.add_parser("list", help="show all mirrors")
        examining = acts.add_parser("doctor", help="try what a mirror's service can do; nothing is left there")
        examining.add_argument("slug")
        examining.add_argument("--dry-run", action="store_true", help="try it, and keep no row of what was found")
        discarding = acts.add_parser("discard", help="throw a version's draft away that is not to become public")
        for name in ("slug", "dataset", "version_number"):
            discarding.add_argument(name)
        discarding.add_argument("--dry-run", action="store_true")
        for one in acts.choices.values():
            one.add_argument("--json", action="store_true")

    def add_words_of_adopt(self, adopting: argparse.ArgumentParser) -> None:
        adopting.add_argument("slug")
        adopting.add_argument("--dataset", default="", help="identifier; all datasets if left out")
        adopting.add_argument("--version", default="", help="like v1.0.0; all versions if left out")
        adopting.add_argument("--record", default="", help="the mirror's own name of the one version that is meant")
        adopting.add_argument("--dry-run", action="store_true", help="look, and write nothing")

    def add_words_of_add(self, add: argparse.ArgumentParser) -> None:
        add.add_argument("slug")
        for name in ("kind", "endpoint", "public-url", "operator", "jurisdiction"):
            add.add_argument(f"--{name}", required=True)
        for name in ("name", "location"):
            add.add_argument(f"--{name}", default="")
        add.add_argument("--tier", default=Mirror.Tier.PRIMARY)
        for name, words in OF_SERVICES.items():
            add.add_argument(f"--{name}", default=argparse.SUPPRESS, help=words)
        for name, number in NUMBERS.items():
            add.add_argument(f"--{name}", type=number, default=argparse.SUPPRESS)
        add.add_argument("--is-sandbox", action="store_true", help="what lies there counts as no copy")
        add.add_argument(
            "--keeps-all", choices=["required", "best-effort"], help="also add a policy for all datasets"
        )
        add.add_argument("--dry-run", action="store_true")

    def handle(self, *, act: str, **options: Any) -> None:
        results = {row["result"] for row in self.shown(act, options) if "result" in row}
        for bad, sentence in ENDINGS:
            if results & bad:
                raise CommandError("Something is wrong; nothing was written." if options.get("dry_run") else sentence)

    def act_add(self, options: dict[str, Any]) -> Rows:
        required = {"required": True, "best-effort": False}.get(options["keeps_all"] or "")
        said = {one.name: options[one.name] for one in fields(MirrorEntry) if one.name in options}
        entry = MirrorEntry(**said | {"is_required": required})
        with transaction.atomic():
            mirror = add_mirror(entry, now=timezone.now())
            transaction.set_rollback(options["dry_run"])
        return [{"mirror": mirror.slug, "added": not options["dry_run"]}]

    def act_list(self, _options: dict[str, Any]) -> Rows:
        verified = Count("replicas", filter=Q(replicas__state=Replica.State.VERIFIED))
        counted = Mirror.objects.annotate(verified=verified, copies=Count("replicas"))
        names = ("slug", "kind", "operator", "jurisdiction", "is_enabled", "state", "verified", "copies")
        return [
            {
                "mirror": one["slug"],
                "kind": one["kind"],
                "operator": one["operator"],
                "jurisdiction": one["jurisdiction"],
                "enabled": one["is_enabled"],
                "state": one["state"],
                "verified": f"{one['verified']}/{one['copies']}",
            }
            for one in counted.order_by("pk").values(*names)
        ]

    def act_doctor(self, options: dict[str, Any]) -> Rows:
        mirror = found(options["slug"])
        symptoms = examine(mirror)
        if not options["dry_run"]:
            keep_examination(mirror, symptoms, now=timezone.now())
        return [{"result": one.result, "check": one.check, "finding": one.finding} for one in symptoms]

    def act_discard(self, options: dict[str, Any]) -> Rows:
        deposit = deposit_of(found(options["slug"]), options["dataset"], options["version_number"])
        (refuse_undiscardable if options["dry_run"] else discard_deposit)(deposit)
        return [{"deposit": str(deposit), "discarded": not options["dry_run"]}]

    def act_probe(self, options: dict[str, Any]) -> Rows:
        chosen: Iterable[Mirror] = Mirror.objects.in_service()
        if options["slug"]:
            chosen = [found(options["slug"])]
        return [self.probe_one(mirror, is_dry=options["dry_run"]) for mirror in chosen]

    def probe_one(self, mirror: Mirror, *, is_dry: bool) -> dict[str, Any]:
        seen = probe.look_at(mirror) if is_dry else probe.probe_mirror(mirror, now=timezone.now())
        took = "" if seen.latency_ms is None else f"{seen.latency_ms} ms"
        return {
            "result": seen.result,
            "mirror": mirror.slug,
            "latency": took,
            "url": seen.url,
            "finding": seen.finding,
        }

    def act_verify(self, options: dict[str, Any]) -> Rows:
        replicas = Replica.objects.there().select_related("asset", "mirror")
        if options["slug"]:
            replicas = replicas.filter(mirror=found(options["slug"]))
        return [self.verify_one(one, options["level"], is_dry=options["dry_run"]) for one in replicas]

    def verify_one(self, replica: Replica, level: int, *, is_dry: bool) -> dict[str, Any]:
        """Check one copy; a mirror that is silent or cannot do the level does not keep the others from theirs."""
        row = {"level": f"L{level}", "mirror": replica.mirror.slug, "file": replica.asset.path}
        try:
            if is_dry:
                return {"result": look(replica, connect(replica.mirror), level, lambda _done: None).result, **row}
            return {"result": look_again(replica, level, now=timezone.now()).result, **row}
        except StewardshipError as error:
            return {"result": UNCHECKED, **row, "finding": str(error)}

    def act_adopt(self, options: dict[str, Any]) -> Rows:
        mirror, named = found(options["slug"]), (options["dataset"], options["version"])
        versions = list(adopt.versions_of(*named))
        if not versions:
            raise CommandError(f"{' '.join(named).strip() or 'Here'}: there is no such public version. Look it up.")
        if options["record"] and len(versions) > 1:
            raise CommandError("--record: it is of one version. Name it by --dataset and --version.")
        backend, how = connect(mirror), {"record_id": options["record"], "is_dry": options["dry_run"]}
        rows = [
            one for version in versions for one in adopt.adopt(version, mirror, backend, now=timezone.now(), **how)
        ]
        return [{"result": one.result, "version": one.version, "file": one.path, "where": one.where} for one in rows]

    def act_pause(self, options: dict[str, Any]) -> Rows:
        return self.change(pause_mirror, options)

    def act_resume(self, options: dict[str, Any]) -> Rows:
        return self.change(resume_mirror, options)

    def change(self, act: Any, options: dict[str, Any]) -> Rows:
        mirror, by = found(options["slug"]), person(options["by"])
        with transaction.atomic():
            act(mirror, by=by, reason=options["reason"], now=timezone.now())
            transaction.set_rollback(options["dry_run"])
        return [{"mirror": mirror.slug, "state": mirror.state, "changed": not options["dry_run"]}]


def found(slug: str) -> Mirror:
    mirror = Mirror.objects.filter(slug=slug).first()
    if mirror is None:
        raise CommandError(f"Mirror {slug!r}: none is registered under that name. Try mirror list.")
    return mirror


def deposit_of(mirror: Mirror, dataset: str, number: str) -> Deposit:
    rows = Deposit.objects.filter(mirror=mirror, version__dataset__identifier=dataset)
    deposit = rows.filter(version__number=number.removeprefix("v")).values_list("pk", flat=True).first()
    if deposit is None:
        raise CommandError(f"{dataset} {number}: {mirror.slug} has no deposit of it. Look at the publish board.")
    return find(deposit)


def person(name: str) -> Any:
    someone = get_user_model().objects.filter(username=name).first()
    if someone is None:
        raise CommandError(f"{name}: nobody has that user name. Look at the people in the admin.")
    return someone
