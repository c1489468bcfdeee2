"""Help: how copies are counted, what levels mean, and how to get files into tools."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language

from dfc_site.pages.ways import catalogue_in_duckdb, catalogue_in_geopandas
from mirrors.models import Check


def help_page(request: HttpRequest) -> HttpResponse:
    path = f"{get_language() or 'en'}/versions.parquet"
    catalogue_url = f"{settings.DFC_SITE_URL}{reverse('catalogue-file', args=[path])}"
    context = {
        "section": "help",
        "levels": Check.Level.choices,
        "age_days": settings.DFC_REPLICA_AGE_DAYS,
        "operators": settings.DFC_MIN_OPERATORS,
        "countries": settings.DFC_MIN_COUNTRIES,
        "home": settings.DFC_MIN_HOME_COPIES,
        "home_country": settings.DFC_HOME_JURISDICTION,
        "ways": [catalogue_in_duckdb(catalogue_url), catalogue_in_geopandas(catalogue_url)],
        "catalogue_url": catalogue_url,
        "contact": settings.DFC_CONTACT_EMAIL,
    }
    return render(request, "pages/help.html", context)
