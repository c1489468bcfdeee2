"""Every address of the portal: pages by language, doors and admin without."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver

from dfc_site.pages import dataset, home, stac, version

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.front, name="front"),
    path("healthz", home.healthz, name="healthz"),
    path("stac/collections/<str:identifier>", stac.collection_document, name="stac-collection"),
    path("stac/collections/<str:identifier>/items/<str:item_id>", stac.item_document, name="stac-item"),
    path("catalogue/<path:path>", stac.catalogue_file, name="catalogue-file"),
    path("", include("swarm.urls")),
    path("", include("mirrors.urls")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    *i18n_patterns(
        path("", home.home, name="home"),
        path("datasets/<str:identifier>/", dataset.dataset, name="dataset"),
        path("datasets/<str:identifier>/latest/", dataset.latest, name="latest"),
        path("datasets/<str:identifier>/<str:number>/", version.version, name="version"),
        path("nodes/", include("dfc_site.pages.node_urls")),
    ),
]
