"""What comes back by itself: pipelines started once a period by the supervisor of the workers."""

from django.conf import settings

from releases.jobs.recurring import Recurring

HOUR_S, DAY_S = 3600, 86_400
RECURRING = (
    Recurring("probe", settings.DFC_PROBE_EVERY_S),
    Recurring("recheck", settings.DFC_RECHECK_EVERY_S),
    Recurring("forget-nodes", HOUR_S),
    Recurring("tidy-storage", DAY_S),
)
# Probes, checks and incidents are the history of these; the jobs behind them are forgotten when they ended well.
FORGOTTEN = ("probe", "recheck", "recheck-copy", "sweep", "forget-nodes", "tidy-storage")
