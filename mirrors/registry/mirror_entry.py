"""What a person says of a mirror, and the sentences about it that several kinds share."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from catalog.addresses import AddressRefusedError, NameUnknownError, is_allowed, networks, resolve
from mirrors.models import Mirror

HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
WEB_ADDRESS = re.compile(rf"(?!.*[?#])https?://{HOST}(?:/[!-~]*)?")  # as torrents take it: no blanks, no accents
Finding = tuple[str, str]  # the field, and what is wrong with it


@dataclass(frozen=True)
class MirrorEntry:
    """A mirror as it was said; each field but the last is the column of that name.

    `is_required` None means that no policy is made.
    """

    slug: str
    kind: str
    endpoint: str
    public_url: str
    operator: str
    jurisdiction: str
    name: str = ""
    location: str = ""
    tier: str = Mirror.Tier.PRIMARY
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    addressing: str = Mirror.Addressing.AUTO
    storage_class: str = ""
    upload_checksum: str = Mirror.UploadChecksum.SHA256
    part_mib: int = 64
    collection: str = ""
    settle_s: int = 30
    is_sandbox: bool = False
    owner_email: str = ""
    cost_per_gb_month: Decimal | None = None
    capacity_bytes: int | None = None
    daily_read_bytes: int | None = None
    is_required: bool | None = None


def public_findings(entry: MirrorEntry) -> Iterator[Finding]:
    """Say what is wrong with the base address of a mirror's files."""
    if not WEB_ADDRESS.fullmatch(entry.public_url):
        yield (
            "public_url",
            _("%(address)s is no web address. Write it like https://mirror.example.org/data.")
            % {"address": repr(entry.public_url)},
        )


def service_findings(entry: MirrorEntry) -> Iterator[Finding]:
    """Say what is wrong with the address of a service: it is https, or in a network that we may ask in the open.

    A name is not looked up for https: whom it names is looked at when it is asked.
    """
    if not WEB_ADDRESS.fullmatch(entry.endpoint):
        yield (
            "endpoint",
            _("%(address)s is no address of a service. Write it like https://service.example.org.")
            % {"address": repr(entry.endpoint)},
        )
    elif not may_be_asked(entry.endpoint):
        yield (
            "endpoint",
            _(
                "%(address)s would be asked in the open, or is in a private network. Use https and a public name, "
                "or allow its network in DFC_PRIVATE_NETWORKS."
            )
            % {"address": repr(entry.endpoint)},
        )


def may_be_asked(address: str) -> bool:
    url, allowed = urlsplit(address), networks(settings.DFC_PRIVATE_NETWORKS)
    try:
        numbers = ipaddress.ip_address(url.hostname or "")
    except ValueError:
        return url.scheme == "https" or is_private(address)
    return is_allowed(str(numbers), allowed) and (url.scheme == "https" or is_private(address))


def is_private(address: str) -> bool:
    """Tell whether an address may be asked, and only because its network is allowed."""
    try:
        resolve(urlsplit(address), networks(settings.DFC_PRIVATE_NETWORKS))
    except (AddressRefusedError, NameUnknownError):
        return False
    try:
        resolve(urlsplit(address), ())
    except AddressRefusedError:
        return True
    return False
