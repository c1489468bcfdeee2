"""`/d/….torrent`: the torrent of a file, wrapped with the web seeds of the moment."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.models import Version
from mirrors.offer import web_seeds
from mirrors.redirect import door, find_asset, find_version, gone, open_to_all
from swarm.models import Torrent
from swarm.torrent import wrap


@door
def torrent(request: HttpRequest, dataset: str, number: str, path: str) -> HttpResponse:  # noqa: ARG001  a view
    """Give the .torrent; its own digest varies with the web seeds, its info-hashes never do."""
    version = find_version(dataset, number)
    if version.state == Version.State.WITHDRAWN:
        return gone(version)
    asset = find_asset(version, path)
    row = Torrent.objects.select_related("asset__pieces").filter(asset=asset).first()
    if row is None:
        words = _("%(path)s has 0 bytes, so it has no torrent; download it directly.") % {"path": asset.path}
        return HttpResponseNotFound(f"{words}\n", content_type="text/plain; charset=utf-8")
    body = wrap(bytes(row.info), bytes(row.asset.pieces.v2_layer), web_seeds=web_seeds(asset, now=timezone.now()))
    response = HttpResponse(body, content_type="application/x-bittorrent")
    response["Content-Disposition"] = f'attachment; filename="{row.name}.torrent"'
    return open_to_all(response)
