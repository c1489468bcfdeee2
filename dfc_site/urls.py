"""Every address of the portal: pages by language, doors and admin without."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver

from dfc_site.pages import dataset, home, version

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.front, name="front"),
    path("healthz", home.healthz, name="healthz"),
    path("", include("swarm.urls")),
    path("", include("mirrors.urls")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    *i18n_patterns(
        path("", home.home, name="home"),
        path("datasets/<str:identifier>/", dataset.dataset, name="dataset"),
        path("datasets/<str:identifier>/latest/", dataset.latest, name="latest"),
        path("datasets/<str:identifier>/<str:number>/", version.version, name="version"),
    ),
]
