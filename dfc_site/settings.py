"""Settings: one file of typed reads from the environment (dfc_site/environment.py). Nothing secret has a default."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from catalog.storage.address import S3Address
from dfc_site.environment import (
    env,
    own_storage_backend,
    read_contact,
    read_database,
    read_datacite,
    read_email,
    read_flags,
    read_int,
    read_listen,
    read_networks,
    read_seconds,
    read_secret_key,
    read_sender,
    read_signing_key,
    read_storage,
    read_url,
    read_word,
    refuse,
)

ROOT = Path(__file__).resolve().parent.parent
DFC_DATA_DIR = Path(env.str("DFC_DATA_DIR", str(ROOT / "var"))).resolve()
DFC_DATA_DIR.mkdir(parents=True, exist_ok=True)
DFC_STORAGE = read_storage("DFC_STORAGE_URL", DFC_DATA_DIR / "storage")
DFC_STORAGE_DIR = DFC_STORAGE if isinstance(DFC_STORAGE, Path) else DFC_DATA_DIR / "storage"
DFC_REPOSITORIES_DIR = DFC_DATA_DIR / "repositories"
DFC_BUILDS_DIR = DFC_DATA_DIR / "builds"
DFC_ENVIRONMENTS_DIR = DFC_DATA_DIR / "environments"
DFC_PORT = read_int("DFC_PORT", 8000, at_least=1)
DFC_SITE_URL = read_url("DFC_SITE_URL", f"http://127.0.0.1:{DFC_PORT}")
DFC_MIRROR_URL = read_url("DFC_MIRROR_URL", "http://127.0.0.1:8001")  # where ./run serves the demo's mirrors
# What opens mirrors (mirrors/registry/credentials.py): by slug, so which there are is known only to the registry.
DFC_MIRROR_SECRETS = {name: text for name, text in env.ENVIRON.items() if name.startswith("DFC_MIRROR_")}
DFC_APPROVERS = read_int("DFC_APPROVERS", 1, at_least=0)
DFC_PRIVATE_NETWORKS = read_networks("DFC_PRIVATE_NETWORKS")
DFC_SIGNING_KEY = read_signing_key()  # signs our provenance; private, so in no row and no log
DFC_EXAMPLES_DIR = ROOT / "examples"
DFC_DATACITE_URL, DFC_DATACITE_REPOSITORY, DFC_DATACITE_PASSWORD, DFC_DATACITE_PREFIX = read_datacite(
    DFC_PRIVATE_NETWORKS
)
DFC_SEED_LISTEN = read_listen("DFC_SEED_LISTEN", "127.0.0.1:6881")

# The durable engine (seconds). Tests set them far lower.
DFC_LEASE_S = read_seconds("DFC_LEASE_S", 30)
DFC_LONGEST_BACKOFF_S = read_seconds("DFC_LONGEST_BACKOFF_S", 900)
DFC_BACKOFF_S = read_seconds("DFC_BACKOFF_S", 5)
DFC_PATIENCE_S = read_seconds("DFC_PATIENCE_S", 3600)  # the longest pause that a service may ask for
DFC_SERVICE_CALL_S = read_seconds("DFC_SERVICE_CALL_S", 110)  # the longest that one question to a service may take
DFC_REWAKE_S = read_seconds("DFC_REWAKE_S", 10)
DFC_GRACE_S = read_seconds("DFC_GRACE_S", 10)  # from the wish to stop to the kill
DFC_STALL_S = read_seconds("DFC_STALL_S", 60)
DFC_ATTEMPTS = read_int("DFC_ATTEMPTS", 5, at_least=1)
DFC_WORKERS = read_int("DFC_WORKERS", 2, at_least=1)

# What one execution of a recipe may use at most.
DFC_BUILD_WALL_S = read_seconds("DFC_BUILD_WALL_S", 3600)
DFC_BUILD_MEMORY_MIB = read_int("DFC_BUILD_MEMORY_MIB", 4096, at_least=64)
# The same of a container: what it writes, all together, and the processors it has.
DFC_BUILD_DISK_MIB = read_int("DFC_BUILD_DISK_MIB", 61_440, at_least=1)
DFC_BUILD_PROCESSORS = read_int("DFC_BUILD_PROCESSORS", 2, at_least=1)

# Containers: the engine (podman, docker or a path), its runtime, and flags added to each run; empty is what works.
DFC_CONTAINER_ENGINE = read_word("DFC_CONTAINER_ENGINE", r"|podman|docker|/\S+/(podman|docker)", "podman")
DFC_CONTAINER_RUNTIME = read_word("DFC_CONTAINER_RUNTIME", r"|[A-Za-z0-9._/-]+", "runc")
DFC_CONTAINER_FLAGS = read_flags("DFC_CONTAINER_FLAGS")

# Upstream files: how many one server is asked for at once; how often a file is tried, and the first pause (seconds);
# the longest pause that a server may ask for; how long it may say nothing, and how long one try may take; what one
# file, and an index of files, may have at most.
DFC_INGEST_PER_HOST = read_int("DFC_INGEST_PER_HOST", 12, at_least=1)
DFC_INGEST_ATTEMPTS = read_int("DFC_INGEST_ATTEMPTS", 5, at_least=1)
DFC_INGEST_BACKOFF_S = read_seconds("DFC_INGEST_BACKOFF_S", 2)
DFC_INGEST_PATIENCE_S = read_seconds("DFC_INGEST_PATIENCE_S", 3600)
DFC_INGEST_STALL_S = read_seconds("DFC_INGEST_STALL_S", 60)
DFC_INGEST_TOTAL_S = read_seconds("DFC_INGEST_TOTAL_S", 21_600)
DFC_INGEST_MAX_BYTES = read_int("DFC_INGEST_MAX_BYTES", 1 << 40, at_least=1)
DFC_INGEST_MAX_INDEX_BYTES = read_int("DFC_INGEST_MAX_INDEX_BYTES", 2 << 30, at_least=1)

# How often the servers of sources and licences are asked whether all is as it was (seconds).
DFC_WATCH_EVERY_S = read_seconds("DFC_WATCH_EVERY_S", 86_400)

# Mirrors: the age at which a proof no longer lets its copy be offered; the age at which the copy is read again, how
# much of a mirror that has no number of its own is read in a day, how often what is due is looked for; how often a
# mirror is probed. A survey compares what each mirror says of its files, every so many days a version, and samples
# some copies. What lies at a service of others is read through its public address as soon as it is public, and again
# after DFC_REREAD_DAYS. Checks older than DFC_CHECKS_KEPT_DAYS move to Parquet.
DFC_REPLICA_AGE_DAYS = read_int("DFC_REPLICA_AGE_DAYS", 90, at_least=1)
DFC_RECHECK_DAYS = read_int("DFC_RECHECK_DAYS", 30, at_least=1)
DFC_RECHECK_GIB = read_int("DFC_RECHECK_GIB", 250, at_least=1)
DFC_REREAD_DAYS = read_int("DFC_REREAD_DAYS", 365, at_least=1)
DFC_SURVEY_EVERY_S = read_seconds("DFC_SURVEY_EVERY_S", 3600)
DFC_SURVEY_DAYS = read_int("DFC_SURVEY_DAYS", 7, at_least=1)
DFC_SURVEY_SAMPLES = read_int("DFC_SURVEY_SAMPLES", 10, at_least=0)
DFC_CHECKS_KEPT_DAYS = read_int("DFC_CHECKS_KEPT_DAYS", 400, at_least=1)
DFC_NOTICE_DAYS = read_int("DFC_NOTICE_DAYS", 14, at_least=0)  # from the letter to the end of a mirror's service
DFC_RECHECK_EVERY_S = read_seconds("DFC_RECHECK_EVERY_S", 3600)
# The least of whole copies: operators, countries, and copies at home; nothing is removed below it, and a version
# counts as safe from it on.
DFC_MIN_OPERATORS = read_int("DFC_MIN_OPERATORS", 3, at_least=1)
DFC_MIN_COUNTRIES = read_int("DFC_MIN_COUNTRIES", 2, at_least=1)
DFC_MIN_HOME_COPIES = read_int("DFC_MIN_HOME_COPIES", 1, at_least=0)
DFC_HOME_JURISDICTION = read_word("DFC_HOME_JURISDICTION", r"|[A-Z]{2}", "CA") or "CA"
DFC_PROBE_EVERY_S = read_seconds("DFC_PROBE_EVERY_S", 300)
if DFC_RECHECK_DAYS >= DFC_REPLICA_AGE_DAYS:
    raise refuse(
        "DFC_RECHECK_DAYS",
        f"{DFC_RECHECK_DAYS} is not below DFC_REPLICA_AGE_DAYS, so that good copies would leave every list",
        f"Set it to {max(1, DFC_REPLICA_AGE_DAYS // 3)}.",
    )

# Volunteers' nodes: uses of a public form in a day, by one address and from one network (IPv4 /24, IPv6 /48); the
# pause before the same letter is sent again; nodes that one address may have.
DFC_REGISTRATIONS_PER_DAY = read_int("DFC_REGISTRATIONS_PER_DAY", 5, at_least=1)
DFC_REGISTRATIONS_PER_NETWORK = read_int("DFC_REGISTRATIONS_PER_NETWORK", 30, at_least=1)
DFC_REFUSED_STATEMENTS_PER_NETWORK = read_int("DFC_REFUSED_STATEMENTS_PER_NETWORK", 60, at_least=1)
DFC_LETTER_PAUSE_S = read_seconds("DFC_LETTER_PAUSE_S", 600)
DFC_NODES_PER_EMAIL = read_int("DFC_NODES_PER_EMAIL", 10, at_least=1)

# Letters. The timeout is of each wait of a conversation with the mail server.
DFC_EMAIL = read_email("DFC_EMAIL_URL", "consolemail://")
EMAIL_BACKEND = DFC_EMAIL["EMAIL_BACKEND"]
EMAIL_HOST = DFC_EMAIL["EMAIL_HOST"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = DFC_EMAIL.get("EMAIL_USE_TLS", False), DFC_EMAIL.get("EMAIL_USE_SSL", False)
EMAIL_PORT = DFC_EMAIL["EMAIL_PORT"] or (587 if EMAIL_USE_TLS else 465 if EMAIL_USE_SSL else 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = DFC_EMAIL["EMAIL_HOST_USER"] or "", DFC_EMAIL["EMAIL_HOST_PASSWORD"] or ""
EMAIL_FILE_PATH = DFC_EMAIL["EMAIL_FILE_PATH"]
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = DFC_EMAIL_FROM = read_sender("DFC_EMAIL_FROM", has_server=bool(EMAIL_HOST))

# Where readers may report a problem; no address, no invitation to write.
DFC_CONTACT_EMAIL = read_contact("DFC_CONTACT_EMAIL")

SECRET_KEY = read_secret_key()
DEBUG = False
ALLOWED_HOSTS: list[str] = env.list(
    "DFC_ALLOWED_HOSTS", default=[urlsplit(DFC_SITE_URL).hostname or "", "localhost", "127.0.0.1"]
)
CSRF_TRUSTED_ORIGINS = [DFC_SITE_URL]
SECURE = DFC_SITE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "dfc_site.apps.SiteConfig",
    "swarm",
    "mirrors",
    "releases",
    "catalog",
    "dfc_site.apps.StewardshipAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_q",
    "csp",
    "simple_history",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "dfc_site.aliases.redirect_aliases",
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
ROOT_URLCONF = "dfc_site.urls"
WSGI_APPLICATION = "dfc_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dfc_site.pages.context.languages",
            ],
        },
    },
]
DATABASES = {"default": read_database(DFC_DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]
LOCALE_PATHS = [ROOT / "dfc_site" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "dfc_site.formats"

STATIC_URL = "/static/"
STATIC_ROOT = DFC_DATA_DIR / "static"
STORAGES: dict[str, dict[str, object]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        # Hashed names need `collectstatic`; tests serve the plain files.
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if "pytest" in sys.modules
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
if isinstance(DFC_STORAGE, S3Address):
    STORAGES["own"] = own_storage_backend(DFC_STORAGE, scratch=DFC_DATA_DIR / "scratch")
MEDIA_ROOT = DFC_DATA_DIR / "uploads"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_500_000

# Messages are hints, rows are the truth: the engine re-wakes what nobody holds.
Q_CLUSTER = {
    "name": "dfc",
    "orm": "default",
    "workers": DFC_WORKERS,
    "queue_limit": DFC_WORKERS,
    "timeout": 86_400,  # leases decide long before
    "retry": 90_000,
    "max_attempts": 3,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "guard_cycle": 0.5,
    "poll": 0.2,
    "recycle": 200,
    "label": "Queue",
    "ALT_CLUSTERS": {},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("DFC_LOG_LEVEL", "WARNING")},
    "loggers": {"django-q": {"level": "WARNING"}},
}
