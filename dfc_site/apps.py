from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class SiteConfig(AppConfig):
    name = "dfc_site"

    def ready(self) -> None:
        """Register the pipelines and what comes back; a step function that does not exist stops the start."""
        from dfc_site.pipelines import PIPELINES  # needs the models, which are not there before `ready`
        from dfc_site.schedules import FORGOTTEN, RECURRING
        from releases.jobs import recurring, registry

        registry.declare(PIPELINES)
        recurring.declare(RECURRING, forgotten=FORGOTTEN)


class StewardshipAdminConfig(AdminConfig):
    default_site = "dfc_site.admin_site.StewardshipSite"
