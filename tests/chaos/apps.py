from django.apps import AppConfig


class ChaosConfig(AppConfig):
    name = "tests.chaos"

    def ready(self) -> None:
        """Declare the real pipelines and ours; it runs after the real app, which declares the real ones alone."""
        from dfc_site.pipelines import PIPELINES
        from releases.jobs import registry
        from tests.chaos import deeds

        registry.declare((*PIPELINES, *deeds.PIPELINES))
