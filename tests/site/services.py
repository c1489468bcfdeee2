"""A portal whose versions go to stand-ins of Zenodo, the Internet Archive and DataCite, and to a real S3 server."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.conf import settings as django_settings
from django.utils import timezone

from catalog.storage.client import client_of
from mirrors.models import Mirror, Policy
from tests.fakes.datacite import FakeDatacite
from tests.fakes.faults import Answer, FakeServer, Request, json_answer, ranged, running
from tests.fakes.internet_archive import ACCESS, SECRET, InternetArchive
from tests.fakes.line import FaultyLine
from tests.fakes.zenodo import TOKEN, FakeZenodo
from tests.mirrors.s3_mirrors import make_bucket, service_at
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

DATACITE = {
    "DFC_DATACITE_REPOSITORY": "DFC.TEST",
    "DFC_DATACITE_PASSWORD": "s3cret",
    "DFC_DATACITE_PREFIX": "10.70001",
}
SECRETS = {
    "DFC_MIRROR_ZENODO_TOKEN": TOKEN,
    "DFC_MIRROR_ARCHIVE_ACCESS_KEY_ID": ACCESS,
    "DFC_MIRROR_ARCHIVE_SECRET_ACCESS_KEY": SECRET,
    "DFC_MIRROR_BUCKET_ACCESS_KEY_ID": ACCESS_KEY,
    "DFC_MIRROR_BUCKET_SECRET_ACCESS_KEY": SECRET_KEY,
}


class PublicBucket(FakeServer):
    """What the public sees of the bucket: every object by its key, without keys of the service."""

    routes = (("GET", r"/(.+)", "show"), ("HEAD", r"/(.+)", "show"))
    endpoint = ""

    def show(self, request: Request, key: str) -> Answer:
        client = client_of(service_at(self.endpoint), os.getpid())
        try:
            content = client.get_object(Bucket="mirrors", Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return json_answer(404, {})
        return ranged(request, content, {"Access-Control-Allow-Origin": "*"})


@dataclass
class Services:
    """The services, and what a process has to know to reach them."""

    zenodo: FakeZenodo
    archive: InternetArchive
    datacite: FakeDatacite
    bucket: S3Server
    line: FaultyLine
    public: PublicBucket
    prefix: str

    @property
    def fakes(self) -> tuple[FakeServer, ...]:
        return self.zenodo, self.archive, self.datacite, self.line

    @property
    def environment(self) -> dict[str, str]:
        return {
            **DATACITE,
            **SECRETS,
            "DFC_DATACITE_URL": self.datacite.url,
            "DFC_PRIVATE_NETWORKS": "127.0.0.0/8",
            "DFC_SERVICE_CALL_S": "2",
            "DFC_PATIENCE_S": "1",
        }

    def go_wrong(self, probability: float, seed: int) -> None:
        """Let so large a part of all requests fail, before or after they are done."""
        for fake in self.fakes:
            fake.faults.probability, fake.faults.seed = probability, seed

    def settle(self) -> None:
        """Let nothing go wrong any more, and all that was accepted be seen."""
        for fake in self.fakes:
            fake.faults.clear()
        self.archive.drain()

    def register(self, *, is_required: bool = True) -> list[Mirror]:
        """Register the three mirrors, each with the policy that everything goes there."""
        made = [self.mirror(*one) for one in self.places()]
        for mirror in made:
            Policy.objects.create(mirror=mirror, is_required=is_required)
        return made

    def places(self) -> tuple[tuple[str, str, str, dict[str, Any]], ...]:
        """Give slug, kind, endpoint and the rest of each mirror."""
        return (
            (
                "bucket",
                Mirror.Kind.S3,
                self.line.url,
                {
                    "bucket": "mirrors",
                    "prefix": self.prefix,
                    "addressing": "path",
                    "region": "us-east-1",
                    "jurisdiction": "US",
                    "public_url": f"{self.public.url}/{self.prefix.rstrip('/')}",
                },
            ),
            ("zenodo", Mirror.Kind.ZENODO, self.zenodo.api, {"public_url": self.zenodo.url, "jurisdiction": "CH"}),
            (
                "archive",
                Mirror.Kind.INTERNET_ARCHIVE,
                self.archive.url,
                {
                    "public_url": f"{self.archive.url}/download",
                    "collection": "opensource",
                    "tier": "strategic",
                    "jurisdiction": "US",
                },
            ),
        )

    def mirror(self, slug: str, kind: str, endpoint: str, facts: dict[str, Any]) -> Mirror:
        return Mirror.objects.create(
            slug=slug,
            name=slug.capitalize(),
            kind=kind,
            endpoint=endpoint,
            operator=f"{slug} operator",
            settle_s=1,
            added_at=timezone.now(),
            **facts,
        )

    def urns(self) -> dict[str, list[str]]:
        """Give the states of Zenodo's deposits by our own name of them."""
        found: dict[str, list[str]] = {}
        for one in self.zenodo.control({})["deposits"]:
            for urn in one["urns"]:
                found.setdefault(urn, []).append(one["state"])
        return found

    def digests_at_zenodo(self) -> set[str]:
        return {digest for one in self.zenodo.control({})["deposits"] for digest in one["files"].values()}

    def digests_at_archive(self) -> set[str]:
        files = (file for item in self.archive.items.values() for file in item.files.values())
        return {hashlib.sha256(file.content).hexdigest() for file in files}


@contextmanager
def services(bucket: S3Server) -> Iterator[Services]:
    """Run the stand-ins in this process, so that they outlive every worker that is killed."""
    make_bucket(bucket.endpoint)
    with ExitStack() as stack:
        zenodo = stack.enter_context(running(FakeZenodo()))
        archive = stack.enter_context(running(InternetArchive()))
        datacite = stack.enter_context(running(FakeDatacite()))
        public = stack.enter_context(running(PublicBucket()))
        line = stack.enter_context(running(FaultyLine(bucket.endpoint)))
        public.endpoint = bucket.endpoint
        yield Services(zenodo, archive, datacite, bucket, line, public, f"{uuid4().hex}/")


def adopt(settings: Any, found: Services) -> None:
    """Let this process, too, reach the services."""
    settings.DFC_MIRROR_SECRETS = {**django_settings.DFC_MIRROR_SECRETS, **SECRETS}
    settings.DFC_PRIVATE_NETWORKS = ["127.0.0.0/8"]
    settings.DFC_DATACITE_URL = found.datacite.url
    for name, text in DATACITE.items():
        setattr(settings, name, text)
