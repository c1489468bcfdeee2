"""A bad value in the environment stops the start with its name, the finding and the remedy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BAD = [
    ("DFC_SECRET_KEY", "", "missing"),
    ("DFC_SECRET_KEY", "short", "only 5 characters long"),
    ("DFC_PORT", "eighty", "'eighty' is not a whole number"),
    ("DFC_PORT", "0", "at least 1"),
    ("DFC_APPROVERS", "-1", "at least 0"),
    ("DFC_SITE_URL", "data.example.org", "is no web address"),
    ("DFC_SITE_URL", "https://data.example.org/?a=1", "is no web address"),
    ("DFC_MIRROR_URL", "ftp://data.example.org", "is no web address"),
    ("DFC_MIRROR_URL", "http://[::1", "is no web address"),
    ("DFC_SEED_LISTEN", "6881", "is no address:port"),
    ("DFC_SEED_LISTEN", "127.0.0.1:99999", "is no address:port"),
    ("DFC_SEED_LISTEN", "127.0.0.1:6881,999.0.0.1:6881", "is no address:port"),
    ("DFC_PRIVATE_NETWORKS", "10.0.0.0/8,lan", "'lan' is no network"),
    ("DFC_EMAIL_URL", "mail.example.org", "no address of a mail server"),
    ("DFC_EMAIL_URL", "", "no address of a mail server"),
    ("DFC_EMAIL_URL", "smtp://user:pass@mail.example.org:port", "no address of a mail server"),
    ("DFC_EMAIL_URL", "smtp://", "the name of the server is missing"),
    ("DFC_EMAIL_URL", "filemail://", "the name of the folder is missing"),
    ("DFC_EMAIL_FROM", "nobody", "'nobody' is no e-mail address"),
    ("DFC_EMAIL_FROM", "a@example.org\nBcc: b@example.org", "is no e-mail address"),
    ("DFC_REGISTRATIONS_PER_DAY", "0", "at least 1"),
    ("DFC_LETTER_PAUSE_S", "-1", "not above zero"),
    ("DFC_CONTACT_EMAIL", "help", "'help' is no e-mail address"),
    ("DFC_CONTACT_EMAIL", 'help@example.org"', "is no e-mail address"),
    ("DFC_LEASE_S", "soon", "not a number of seconds"),
    ("DFC_LEASE_S", "0", "not above zero"),
    ("DFC_LEASE_S", "inf", "not above zero and finite"),
    ("DFC_BUILD_WALL_S", "0", "not above zero"),
    ("DFC_BUILD_MEMORY_MIB", "1", "at least 64"),
    ("DFC_BUILD_DISK_MIB", "none", "is not a whole number"),
    ("DFC_BUILD_PROCESSORS", "0", "at least 1"),
    ("DFC_CONTAINER_ENGINE", "lxc", "'lxc' is not of the form"),
    ("DFC_CONTAINER_RUNTIME", "runc --debug", "is not of the form"),
    ("DFC_CONTAINER_FLAGS", "--privileged", "'--privileged' is none of"),
    ("DFC_CONTAINER_FLAGS", "--ulimit=core=0:0 --network=host", "'--network=host' is none of"),
    ("DFC_CONTAINER_FLAGS", "--security-opt=seccomp=unconfined", "is none of"),
    ("DFC_RECHECK_DAYS", "90", "90 is not below DFC_REPLICA_AGE_DAYS"),
    ("DFC_RECHECK_GIB", "0", "at least 1"),
    ("DFC_PROBE_EVERY_S", "0", "not above zero"),
    ("DATABASE_URL", "mysql://localhost/dfc", "is not supported"),
    ("DATABASE_URL", "nonsense", "DATABASE_URL"),
]


PRINT_URL = "import dfc_site.settings as s; print(s.DFC_SITE_URL)"


def start(tmp_path: Path, *, command: str = PRINT_URL, **given: str) -> "subprocess.CompletedProcess[str]":
    keep = {"PATH": os.environ["PATH"], "DFC_SECRET_KEY": "k" * 32, "DFC_DATA_DIR": str(tmp_path)}
    words = [sys.executable, "-c", command]
    return subprocess.run(words, env=keep | given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "value", "finding"), BAD)
def test_a_bad_value_stops_the_start(tmp_path: Path, name: str, value: str, finding: str) -> None:
    done = start(tmp_path, **{name: value})
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0
    assert f"{name}: " in last
    assert finding in last
    assert last.endswith(".")


def test_good_values_start(tmp_path: Path) -> None:
    done = start(
        tmp_path,
        DFC_SITE_URL="https://data.example.org/",
        DFC_SEED_LISTEN="0.0.0.0:6881,[::]:6881",
        DFC_PRIVATE_NETWORKS="10.0.0.0/8,fd00::/8",
        DATABASE_URL="postgres://someone@127.0.0.1:5432/dfc",
    )
    assert done.stdout == "https://data.example.org\n", done.stderr


def test_a_mail_server_needs_a_sender_and_its_password_is_never_repeated(tmp_path: Path) -> None:
    url = "smtp+tls://nodes:s3cret@mail.example.org"
    refused = start(tmp_path, DFC_EMAIL_URL=url)
    assert "DFC_EMAIL_FROM: '' is no e-mail address" in refused.stderr
    wrong = start(tmp_path, DFC_EMAIL_URL="smtp://nodes:s3c/ret@mail.example.org:587")
    assert "DFC_EMAIL_URL: " in wrong.stderr
    assert "s3c" not in refused.stderr + wrong.stderr
    good = start(tmp_path, DFC_EMAIL_URL=url, DFC_EMAIL_FROM="Nodes <nodes@example.org>")
    assert good.returncode == 0, good.stderr


def test_letters_go_to_the_console_unless_told_otherwise(tmp_path: Path) -> None:
    command = "import dfc_site.settings as s; print(s.EMAIL_BACKEND, s.DEFAULT_FROM_EMAIL)"
    done = start(tmp_path, command=command)
    assert done.stdout == "django.core.mail.backends.console.EmailBackend Data for Canada <nodes@localhost>\n"
