"""Every address of the portal: pages by language, doors and admin without."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver

from dfc_site.pages import dataset, evidence, feeds, help, home, mirrors, rebuild, stac, version  # noqa: A004  the page

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.front, name="front"),
    path("healthz", home.healthz, name="healthz"),
    path("stac/collections/<str:identifier>", stac.collection_document, name="stac-collection"),
    path("stac/collections/<str:identifier>/items/<str:item_id>", stac.item_document, name="stac-item"),
    path("catalogue/<path:path>", stac.catalogue_file, name="catalogue-file"),
    path("feeds/<str:language>/versions.atom", feeds.newest, name="feed"),
    path("feeds/<str:language>/datasets/<str:identifier>.atom", feeds.of_dataset, name="dataset-feed"),
    path("api/v1/", include("dfc_site.api.urls")),
    path("", include("swarm.urls")),
    path("", include("mirrors.urls")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    *i18n_patterns(
        path("", home.home, name="home"),
        path("datasets/<str:identifier>/", dataset.dataset, name="dataset"),
        path("datasets/<str:identifier>/latest/", dataset.latest, name="latest"),
        path("datasets/<str:identifier>/<str:number>/", version.version, name="version"),
        path("datasets/<str:identifier>/<str:number>/evidence/", evidence.evidence, name="evidence"),
        path("datasets/<str:identifier>/<str:number>/evidence/<int:copy>/", evidence.history, name="copy-history"),
        path("datasets/<str:identifier>/<str:number>/evidence.csv", evidence.all_checks, name="evidence-csv"),
        path("datasets/<str:identifier>/<str:number>/rebuild/", rebuild.rebuild, name="rebuild"),
        path("datasets/<str:identifier>/<str:number>/citation.bib", version.bibtex, name="citation"),
        path("mirrors/", mirrors.mirrors, name="mirrors"),
        path("nodes/", include("dfc_site.pages.node_urls")),
        path("help/", help.help_page, name="help"),
    ),
]
