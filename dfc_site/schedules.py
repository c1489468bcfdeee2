"""What comes back by itself: pipelines started once a period by the supervisor of the workers."""

from django.conf import settings

from releases.jobs.recurring import Recurring

HOUR_S, DAY_S, WEEK_S = 3600, 86_400, 604_800
RECURRING = (
    Recurring("probe", settings.DFC_PROBE_EVERY_S),
    Recurring("recheck", settings.DFC_RECHECK_EVERY_S),
    Recurring("survey", settings.DFC_SURVEY_EVERY_S),
    Recurring("old-checks", DAY_S),
    Recurring("describe-stale", DAY_S),
    Recurring("forget-nodes", HOUR_S),
    Recurring("tidy-storage", DAY_S),
    Recurring("tidy-mirrors", DAY_S),
    Recurring("examine-all", WEEK_S),
    Recurring("watch", settings.DFC_WATCH_EVERY_S),
)
# Probes, checks, incidents, findings and notices are their history; jobs behind them that ended well are forgotten.
FORGOTTEN = (
    "probe",
    "recheck",
    "recheck-copy",
    "reread",
    "sweep",
    "survey",
    "old-checks",
    "describe-stale",
    "forget-nodes",
    "tidy-storage",
    "tidy-mirrors",
    "adopt",
    "examine",
    "examine-all",
    "watch",
)
