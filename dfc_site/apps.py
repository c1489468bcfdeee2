from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "dfc_site"
