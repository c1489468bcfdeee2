from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SwarmConfig(AppConfig):
    name = "swarm"
    verbose_name = _("Swarm")
