"""Typed reads from the environment: a bad value stops the start with the name, the finding and the remedy."""

import ipaddress
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from catalog.storage.address import AddressError, S3Address, parse_address
from releases.errors import KeyTextError
from releases.statements.envelopes import read_signer

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


def read_datacite(private_networks: Iterable[str]) -> tuple[str, str, str, str]:
    """Read how DataCite is asked: address, repository, password and prefix; all empty where it is not.

    One of them alone is refused, and so is plain http beyond `private_networks`; the password is never repeated.
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
    if url.startswith("http://") and not is_within(urlsplit(url).hostname or "", private_networks):
        raise refuse("DFC_DATACITE_URL", f"{url!r} would send the password in the clear", "Use https://.")
    return url, repository, password, prefix


def is_within(host: str, networks: Iterable[str]) -> bool:
    """Tell whether a host is an address in one of the networks."""
    return is_ip_address(host) and any(ipaddress.ip_address(host) in ipaddress.ip_network(one) for one in networks)


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


def read_database(folder: Path) -> dict[str, object]:
    """Read DATABASE_URL; SQLite in `folder` unless told otherwise."""
    try:
        database: dict[str, object] = env.db_url("DATABASE_URL", default=f"sqlite:///{folder / 'dfc.sqlite3'}")
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


def own_storage_backend(address: S3Address, *, scratch: Path) -> dict[str, object]:
    """Say how our own storage in a bucket is opened; its parts under way lie in `scratch`."""
    options = {
        "address": address,
        "access_key": read_storage_key("DFC_STORAGE_ACCESS_KEY_ID"),
        "secret_key": read_storage_key("DFC_STORAGE_SECRET_ACCESS_KEY"),
        "scratch": scratch,
    }
    return {"BACKEND": "catalog.storage.s3.S3Storage", "OPTIONS": options}
