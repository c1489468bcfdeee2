"""The real settings and one app more, for workers that a test starts: the app declares the test's pipelines."""

from dfc_site.settings import *  # noqa: F403
from dfc_site.settings import INSTALLED_APPS as REAL_APPS

INSTALLED_APPS = [*REAL_APPS, "tests.chaos.apps.ChaosConfig"]
