"""The doors `/d/…`: where the bytes of a published file are at this moment."""

import base64
import ipaddress
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from catalog import versions
from catalog.models import Asset, Version
from mirrors.offer import offers
from mirrors.selection import Candidate, Client, Ranking

CACHE = "public, max-age=60"
CACHE_BY_CLIENT = "private, max-age=60"  # the choice depends on who asks
PUBLIC = (Version.State.PUBLISHED, Version.State.DEPRECATED)
View = Callable[..., HttpResponse]


def door(view: View) -> View:
    """Let a view answer GET and HEAD; the preflight of a browser is answered here, as it may not be redirected."""

    @require_http_methods(["GET", "HEAD", "OPTIONS"])
    @wraps(view)
    def opened(request: HttpRequest, dataset: str, number: str, **names: str) -> HttpResponse:
        return preflight() if request.method == "OPTIONS" else view(request, dataset, number, **names)

    return opened


def preflight() -> HttpResponse:
    response = open_to_all(HttpResponse(status=204))
    response["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
    response["Access-Control-Allow-Headers"] = "Range, If-Range, If-Match, If-None-Match"
    response["Access-Control-Max-Age"] = "86400"
    del response["Content-Type"]
    return response


def find_version(dataset: str, number: str) -> Version:
    """Give the public version that an address names, `latest` included; Http404 for drafts as for nothing at all."""
    refuse_nul(dataset)
    found = Version.objects.public().select_related("dataset", "doi_row").filter(dataset__identifier=dataset)
    if number == "latest":
        any_version = found.first()
        version = Version.objects.latest_of(any_version.dataset) if any_version else None
    else:
        version = found.filter(number=stored_number(number)).first()
    if version is None:
        raise Http404
    return version


def stored_number(shown: str) -> str:
    """Turn `v0.1.0-beta` of an address into the stored form; Http404 for any other writing."""
    try:
        number = versions.parse(shown)
    except versions.VersionNumberError as error:
        raise Http404 from error
    if shown != number.shown:
        raise Http404
    return str(number)


def refuse_nul(text: str) -> None:
    """Answer 404 to what PostgreSQL cannot even be asked for."""
    if "\0" in text:
        raise Http404


def find_asset(version: Version, path: str) -> Asset:
    refuse_nul(path)
    asset = Asset.objects.filter(item__version=version, path=path).order_by("item__tile").first()
    if asset is None:
        raise Http404
    return asset


def client_of(request: HttpRequest) -> Client:
    """Name who asks by its network (IPv4 /24, IPv6 /48), and the mirror that it wants."""
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return Client(wanted=request.GET.get("mirror", ""))
    # A dual-stack socket writes IPv4 as ::ffff:a.b.c.d, whose /48 would be all of IPv4.
    address = getattr(address, "ipv4_mapped", None) or address
    network = ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False)  # noqa: PLR2004  IPv4
    return Client(key=str(network), wanted=request.GET.get("mirror", ""))


def open_to_all(response: HttpResponse, *, cache: str = CACHE) -> HttpResponse:
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Expose-Headers"] = "Link, Location, Repr-Digest"
    response["Cache-Control"] = cache
    return response


def gone(version: Version) -> HttpResponse:
    words = _("%(version)s was withdrawn. Its page says why, and what to use instead.") % {"version": version}
    return open_to_all(HttpResponse(f"{words}\n", status=410, content_type="text/plain; charset=utf-8"))


@door
def file(request: HttpRequest, dataset: str, number: str, path: str) -> HttpResponse:
    """Answer 302 to the best copy; 503 with a sentence when no copy is proved at this moment."""
    version = find_version(dataset, number)
    if version.state not in PUBLIC:
        return gone(version)
    asset = find_asset(version, path)
    ranking = offers([asset], now=timezone.now(), client=client_of(request))[asset.pk]
    if not ranking.offered:
        return unavailable(asset)
    response = HttpResponseRedirect(ranking.offered[0].url)
    response["Link"] = ", ".join(
        f"<{one.url}>; rel=duplicate; pri={place}" for place, one in enumerate(ranking.offered, start=1)
    )
    response["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(asset.sha256)).decode()}:"
    return open_to_all(response, cache=CACHE_BY_CLIENT)


def unavailable(asset: Asset) -> HttpResponse:
    words = _("%(path)s: no copy of it is proved at this moment. A repair is under way; try again later.")
    response = HttpResponse(f"{words % {'path': asset.path}}\n", status=503, content_type="text/plain; charset=utf-8")
    response["Retry-After"] = "600"
    response["Access-Control-Allow-Origin"] = "*"
    return response


@door
def sha256(request: HttpRequest, dataset: str, number: str, path: str) -> HttpResponse:  # noqa: ARG001  a view
    """Give a line that `sha256sum --check` reads beside the downloaded file, so with its name and no folder."""
    asset = find_asset(find_version(dataset, number), path)
    return checksum_lines([(asset.sha256, asset.path.rsplit("/", 1)[-1])])


@door
def sums(request: HttpRequest, dataset: str, number: str) -> HttpResponse:  # noqa: ARG001  a view
    """Give SHA256SUMS of a whole version; the tombstone of a withdrawn one keeps its digests."""
    version = find_version(dataset, number)
    return checksum_lines(Asset.objects.filter(item__version=version).order_by("path").values_list("sha256", "path"))


def checksum_lines(files: Iterable[tuple[str, str]]) -> HttpResponse:
    lines = "".join(f"{digest}  {name}\n" for digest, name in files)
    return open_to_all(HttpResponse(lines, content_type="text/plain; charset=utf-8"))


@door
def mirrors(request: HttpRequest, dataset: str, number: str, path: str) -> HttpResponse:
    """List the copies in the order of preference, and the others with the reason why they are not offered."""
    version = find_version(dataset, number)
    if version.state not in PUBLIC:
        return gone(version)
    asset = find_asset(version, path)
    ranking = offers([asset], now=timezone.now(), client=client_of(request))[asset.pk]
    document = {"path": asset.path, "size_bytes": asset.size_bytes, "sha256": asset.sha256, **listed(ranking)}
    body = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    return open_to_all(HttpResponse(body, content_type="application/json"), cache=CACHE_BY_CLIENT)


def listed(ranking: Ranking) -> dict[str, object]:
    return {
        "mirrors": [described(one) | {"url": one.url} for one in ranking.offered],
        "not_offered": [
            described(one.candidate) | {"code": one.code, "reason": one.reason} for one in ranking.excluded
        ],
    }


def described(one: Candidate) -> dict[str, object]:
    return {
        "mirror": one.mirror,
        "operator": one.operator,
        "jurisdiction": one.jurisdiction,
        "tier": one.tier,
        "state": one.state,
        "last_proof": {"level": one.proved_level, "at": shown(one.proved_at)},
    }


def shown(instant: datetime | None) -> str | None:
    return instant.isoformat(timespec="seconds") if instant else None
