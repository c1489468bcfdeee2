"""Settings: one file of typed reads from the environment.

A bad value stops the start with the name, the finding and the remedy. Nothing secret has a default.
"""

import ipaddress
import math
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from catalog.storage.address import AddressError, S3Address, parse_address
from releases.errors import KeyTextError
from releases.statements.envelopes import read_signer

ROOT = Path(__file__).resolve().parent.parent
LISTEN = re.compile(r"(?:(?P<four>[0-9.]+)|\[(?P<six>[0-9a-fA-F:]+)\]):(?P<port>[0-9]{1,5})")
SENDER = re.compile(r"[^@<>\s]+@[^@<>\s]+|[^@<>\r\n]+ <[^@<>\s]+@[^@<>\s]+>")
LAST_PORT = 65_535
# What an administrator may add to each run of a container: limits and the ways of this machine, no freedom.
FLAGS_OF_CONTAINERS = (
    *(
        "--ulimit=",
        "--cpu-shares=",
        "--cpuset-cpus=",
        "--cgroups=",
        "--cgroup-parent=",
        "--cgroupns=",
        "--oom-score-adj=",
    ),
    *(
        "--memory=",
        "--memory-swap=",
        "--cpus=",
        "--pids-limit=",
        "--shm-size=",
        "--device-read-bps=",
        "--blkio-weight=",
    ),
)
env = environ.Env()


def refuse(name: str, finding: str, remedy: str) -> ImproperlyConfigured:
    """Build the error that stops a start because of one setting."""
    return ImproperlyConfigured(f"{name}: {finding}. {remedy}")


def read_int(name: str, default: int, *, at_least: int) -> int:
    """Read a whole number; raises ImproperlyConfigured below `at_least` or for anything else."""
    text = env.str(name, str(default))
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) < at_least:
        raise refuse(name, f"{text!r} is not a whole number of at least {at_least}", f"Set it to {default}.")
    return int(text)


def read_word(name: str, pattern: str, example: str) -> str:
    """Read one word of a certain form; empty where it is not set."""
    text: str = env.str(name, "")
    if not re.fullmatch(pattern, text):
        raise refuse(name, f"{text!r} is not of the form that it has", f"Write it like {example}, or leave it out.")
    return text


def read_flags(name: str) -> list[str]:
    """Read flags, as `--name=value` each, that limit a container further; any that would set it free is refused."""
    flags: list[str] = env.str(name, "").split()
    for flag in flags:
        if not flag.startswith(FLAGS_OF_CONTAINERS):
            example = "Write them like --ulimit=nofile=1024:1024 --cpu-shares=512."
            raise refuse(name, f"{flag!r} is none of {', '.join(FLAGS_OF_CONTAINERS)}", example)
    return flags


def read_seconds(name: str, default: float) -> float:
    """Read a duration in seconds; raises ImproperlyConfigured when it is not above zero."""
    try:
        value = float(env.str(name, str(default)))
    except ValueError as error:
        raise refuse(name, "not a number of seconds", f"Set it to {default}.") from error
    if not 0 < value < math.inf:
        raise refuse(name, f"{value} is not above zero and finite", f"Set it to {default}.")
    return value


def read_secret_key() -> str:
    """Read the signing key; `./run` and `./test` make a random one, nothing else has a default."""
    key: str = env.str("DFC_SECRET_KEY", "")
    if len(key) < 32:  # noqa: PLR2004  a shorter key can be guessed
        raise refuse(
            "DFC_SECRET_KEY",
            "missing" if not key else f"only {len(key)} characters long",
            "Set it to at least 32 random characters, for example from `openssl rand -hex 32`.",
        )
    return key


def read_signing_key() -> str:
    """Read the key that signs our provenance, as PEM; empty where there is none, and then nothing is signed.

    A file that others may read is refused, and so is whatever is no ed25519 key; no refusal repeats the key.
    """
    text, file = env.str("DFC_SIGNING_KEY", "", multiline=True), env.str("DFC_SIGNING_KEY_FILE", "")
    name = "DFC_SIGNING_KEY_FILE" if file else "DFC_SIGNING_KEY"
    if text and file:
        raise refuse(name, "DFC_SIGNING_KEY is set too", "Set one of the two.")
    try:
        text = read_private_file(name, Path(file)) if file else text
        if text:
            read_signer(text)
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(
            name, f"{file} cannot be read ({error})", "Name the file that rebuild.py keygen wrote."
        ) from error
    except KeyTextError as error:
        raise refuse(name, str(error).rstrip("."), "Make one with rebuild.py keygen FILE.") from None
    return text


def read_private_file(name: str, path: Path) -> str:
    """Read a file that only its owner can read; raises ImproperlyConfigured for another one."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise refuse(name, f"others may read {path} (mode {mode:04o})", f"Run chmod 600 {path}.")
    return path.read_text(encoding="utf-8")


def read_url(name: str, default: str) -> str:
    """Read a public web address; gives it without a slash at the end."""
    text: str = env.str(name, default)
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or "?" in url or "#" in url or re.search(r"\s", url):
        raise refuse(name, f"{url!r} is no web address", "Write it like https://data.example.org.")
    return url


def read_datacite() -> tuple[str, str, str, str]:
    """Read how DataCite is asked: address, repository, password and prefix; all empty where it is not.

    One of them alone is refused, and so is plain http beyond DFC_PRIVATE_NETWORKS; the password is never repeated.
    """
    names = ("DFC_DATACITE_REPOSITORY", "DFC_DATACITE_PASSWORD", "DFC_DATACITE_PREFIX")
    repository, password, prefix = (env.str(name, "") for name in names)
    url = read_url("DFC_DATACITE_URL", "https://api.datacite.org")
    if not (repository or password or prefix or env.str("DFC_DATACITE_URL", "")):
        return "", "", "", ""
    for name, value in zip(names, (repository, password, prefix), strict=True):
        if not value:
            raise refuse(name, "missing, though others of DFC_DATACITE_… are set", "Set all of them, or none.")
    if not re.fullmatch(r"[A-Z0-9]+\.[A-Z0-9-]+", repository):
        example = "Write it like ABCD.EFGH, as DataCite does."
        raise refuse(names[0], f"{repository!r} is no name of a repository", example)
    if not re.fullmatch(r"10\.[0-9]{4,5}", prefix):
        raise refuse(names[2], f"{prefix!r} is no prefix of DOIs", "Write it like 10.12345.")
    if url.startswith("http://") and not is_private(urlsplit(url).hostname or ""):
        raise refuse("DFC_DATACITE_URL", f"{url!r} would send the password in the clear", "Use https://.")
    return url, repository, password, prefix


def is_private(host: str) -> bool:
    """Tell whether a host is an address in a network that DFC_PRIVATE_NETWORKS allows."""
    return is_ip_address(host) and any(
        ipaddress.ip_address(host) in ipaddress.ip_network(one) for one in DFC_PRIVATE_NETWORKS
    )


def read_listen(name: str, default: str) -> str:
    """Read where a program listens, `address:port[,address:port]`; an IPv6 address stands in brackets."""
    text: str = env.str(name, default)
    for part in text.split(","):
        match = LISTEN.fullmatch(part.strip())
        if match is None or int(match["port"]) > LAST_PORT or not is_ip_address(match["four"] or match["six"]):
            raise refuse(name, f"{part!r} is no address:port", f"Write it like {default}.")
    return text


def is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def read_networks(name: str) -> list[str]:
    """Read a comma-separated list of CIDR networks."""
    networks: list[str] = env.list(name, default=[])
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise refuse(name, f"{network!r} is no network ({error})", "Write it like 10.0.0.0/8.") from error
    return networks


def read_email(name: str, default: str) -> dict[str, Any]:
    """Read where letters go; the value is never repeated in a refusal, since it may hold a password."""
    remedy = "Write it like smtp+tls://user:password@mail.example.org:587, filemail:////folder or consolemail://."
    try:
        found: dict[str, Any] = env.email_url(name, default)
    except (ValueError, ImproperlyConfigured):
        raise refuse(name, "it is no address of a mail server", remedy) from None
    backend = found["EMAIL_BACKEND"].split(".")[-2]
    if (backend == "smtp" and not found["EMAIL_HOST"]) or (backend == "filebased" and not found["EMAIL_FILE_PATH"]):
        raise refuse(name, f"the name of the {'server' if backend == 'smtp' else 'folder'} is missing", remedy)
    return found


def read_sender(name: str, *, has_server: bool) -> str:
    """Read the address that letters come from: `name@host` or `Words <name@host>`; only a mail server needs one."""
    text: str = env.str(name, "" if has_server else "Data for Canada <nodes@localhost>")
    if not SENDER.fullmatch(text):
        raise refuse(name, f"{text!r} is no e-mail address", "Write it like Data for Canada <nodes@example.org>.")
    return text


def read_contact(name: str) -> str:
    """Read a bare e-mail address that pages show; empty where there is none."""
    text: str = env.str(name, "")
    if text and not re.fullmatch(r"[^@<>\s\"]+@[^@<>\s\"]+", text):
        raise refuse(name, f"{text!r} is no e-mail address", "Write it like help@example.org, or leave it out.")
    return text


def read_database() -> dict[str, object]:
    """Read DATABASE_URL; SQLite under the data directory unless told otherwise."""
    try:
        database: dict[str, object] = env.db_url("DATABASE_URL", default=f"sqlite:///{DFC_DATA_DIR / 'dfc.sqlite3'}")
    except (ValueError, ImproperlyConfigured) as error:
        raise refuse(
            "DATABASE_URL", str(error), "Write it like postgres://user@host:5432/name or sqlite:////path."
        ) from error
    engine = database.get("ENGINE")
    if engine == "django.db.backends.sqlite3":
        database["OPTIONS"] = {
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
            # FULL: an intent that was committed before a call must survive a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        }
    elif engine != "django.db.backends.postgresql":
        raise refuse("DATABASE_URL", f"{engine} is not supported", "Use sqlite:// or postgres://.")
    return database | {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}


def read_storage(name: str, default: Path) -> Path | S3Address:
    """Read where our own storage lies; the value is never repeated whole, since a key may have slipped into it."""
    text: str = env.str(name, "")
    try:
        return parse_address(text) if text else default
    except AddressError as error:
        remedy = "Write it like s3://bucket/prefix?endpoint=https://s3.example.org or file:///srv/dfc."
        raise refuse(name, str(error), remedy) from None


def read_storage_key(name: str) -> str:
    """Read one half of the key to a bucket."""
    key: str = env.str(name, "")
    if not key:
        raise refuse(name, "missing, though DFC_STORAGE_URL names a bucket", "Set it to the key of that bucket.")
    return key


def own_storage_backend(address: S3Address) -> dict[str, object]:
    """Say how our own storage in a bucket is opened; its parts under way lie in the data directory."""
    options = {
        "address": address,
        "access_key": read_storage_key("DFC_STORAGE_ACCESS_KEY_ID"),
        "secret_key": read_storage_key("DFC_STORAGE_SECRET_ACCESS_KEY"),
        "scratch": DFC_SCRATCH_DIR,
    }
    return {"BACKEND": "catalog.storage.s3.S3Storage", "OPTIONS": options}


DFC_DATA_DIR = Path(env.str("DFC_DATA_DIR", str(ROOT / "var"))).resolve()
DFC_DATA_DIR.mkdir(parents=True, exist_ok=True)
DFC_STORAGE = read_storage("DFC_STORAGE_URL", DFC_DATA_DIR / "storage")
DFC_STORAGE_DIR = DFC_STORAGE if isinstance(DFC_STORAGE, Path) else DFC_DATA_DIR / "storage"
DFC_REPOSITORIES_DIR = DFC_DATA_DIR / "repositories"
DFC_BUILDS_DIR = DFC_DATA_DIR / "builds"
DFC_ENVIRONMENTS_DIR = DFC_DATA_DIR / "environments"
DFC_SCRATCH_DIR = DFC_DATA_DIR / "scratch"
DFC_PORT = read_int("DFC_PORT", 8000, at_least=1)
DFC_SITE_URL = read_url("DFC_SITE_URL", f"http://127.0.0.1:{DFC_PORT}")
DFC_MIRROR_URL = read_url("DFC_MIRROR_URL", "http://127.0.0.1:8001")  # where ./run serves the demo's mirrors
# What opens mirrors (mirrors/registry/credentials.py): by slug, so which there are is known only to the registry.
DFC_MIRROR_SECRETS = {name: text for name, text in env.ENVIRON.items() if name.startswith("DFC_MIRROR_")}
DFC_APPROVERS = read_int("DFC_APPROVERS", 1, at_least=0)
DFC_PRIVATE_NETWORKS = read_networks("DFC_PRIVATE_NETWORKS")
DFC_SIGNING_KEY = read_signing_key()  # signs our provenance; private, so in no row and no log
DFC_EXAMPLES_DIR = ROOT / "examples"
DFC_DATACITE_URL, DFC_DATACITE_REPOSITORY, DFC_DATACITE_PASSWORD, DFC_DATACITE_PREFIX = read_datacite()
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
# much one run reads, how often a run begins; how often a mirror is probed. A survey compares what each mirror says of
# its files, every so many days a version, and samples some copies. What a service proves by its own checksum is read
# through its public address all the same, after DFC_REREAD_DAYS. Checks older than DFC_CHECKS_KEPT_DAYS move to
# Parquet.
DFC_REPLICA_AGE_DAYS = read_int("DFC_REPLICA_AGE_DAYS", 90, at_least=1)
DFC_RECHECK_DAYS = read_int("DFC_RECHECK_DAYS", 30, at_least=1)
DFC_RECHECK_GIB = read_int("DFC_RECHECK_GIB", 50, at_least=1)
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
DATABASES = {"default": read_database()}
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
    STORAGES["own"] = own_storage_backend(DFC_STORAGE)
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
