from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "dfc_site"

    def ready(self) -> None:
        """Register the pipelines; a step function that does not exist stops the start."""
        from dfc_site.pipelines import PIPELINES  # needs the models, which are not there before `ready`
        from releases.jobs import registry

        registry.declare(PIPELINES)
