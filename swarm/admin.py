from django.contrib import admin

from catalog.admin import ReadOnlyAdmin
from swarm.models import Torrent


@admin.register(Torrent)
class TorrentAdmin(ReadOnlyAdmin):
    list_display = ["name", "infohash_v1", "infohash_v2", "made_at"]
    search_fields = ["name", "infohash_v1", "infohash_v2"]
    exclude = ["info"]
    list_select_related = ["asset"]
