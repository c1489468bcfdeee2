"""A bad value in the environment stops the start with its name, the finding and the remedy."""

import os
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest
from django.core.exceptions import ImproperlyConfigured

from dfc_site.environment import env
from tests.releases.keys import private_pem

SETTINGS = Path(__file__).resolve().parents[2] / "dfc_site" / "settings.py"
BAD = [
    ("DFC_SECRET_KEY", "", "missing"),
    ("DFC_SECRET_KEY", "short", "only 5 characters long"),
    ("DFC_PORT", "eighty", "'eighty' is not a whole number"),
    ("DFC_PORT", "0", "at least 1"),
    ("DFC_SIGNING_KEY", "no key", "It is no private key in PEM"),
    ("DFC_SIGNING_KEY_FILE", "/nonexistent/key.pem", "cannot be read"),
    ("DFC_REFUSED_STATEMENTS_PER_NETWORK", "0", "at least 1"),
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
    ("DFC_STORAGE_URL", "/srv/dfc", "begins with neither s3:// nor file:///"),
    ("DFC_STORAGE_URL", "file://srv/dfc", "begins with neither"),
    ("DFC_STORAGE_URL", "s3://Bucket/prefix", "'Bucket' is no name of a bucket"),
    ("DFC_STORAGE_URL", "s3://bucket/../other", "'../other' is no prefix"),
    ("DFC_STORAGE_URL", "s3://bucket?endpoint=s3.example.org", "endpoint is no web address"),
    ("DFC_STORAGE_URL", "s3://bucket?style=dns", "style is 'dns', not one of auto, path, virtual"),
    ("DFC_STORAGE_URL", "s3://bucket?part_mib=1", "part_mib is '1', not a whole number from 5 to 1024"),
    ("DFC_STORAGE_URL", "s3://bucket?secret=x", "'secret' is not among"),
    ("DFC_STORAGE_URL", "s3://bucket?region", "cannot be read"),
    ("DFC_STORAGE_ACCESS_KEY_ID", "", "missing, though DFC_STORAGE_URL names a bucket"),
    ("DFC_STORAGE_SECRET_ACCESS_KEY", "", "missing, though DFC_STORAGE_URL names a bucket"),
    ("DFC_DATACITE_URL", "api.datacite.org", "is no web address"),
    ("DFC_DATACITE_URL", "http://api.datacite.org", "would send the password in the clear"),
    ("DFC_DATACITE_REPOSITORY", "", "missing, though others of DFC_DATACITE_"),
    ("DFC_DATACITE_REPOSITORY", "abcd efgh", "'abcd efgh' is no name of a repository"),
    ("DFC_DATACITE_PASSWORD", "", "missing, though others of DFC_DATACITE_"),
    ("DFC_DATACITE_PREFIX", "11.1234", "'11.1234' is no prefix of DOIs"),
    ("DATABASE_URL", "mysql://localhost/dfc", "is not supported"),
    ("DATABASE_URL", "nonsense", "DATABASE_URL"),
]


BUCKET = {
    "DFC_STORAGE_URL": "s3://bucket/prefix?endpoint=https://s3.example.org&region=auto&style=path&parts=equal",
    "DFC_STORAGE_ACCESS_KEY_ID": "k",
    "DFC_STORAGE_SECRET_ACCESS_KEY": "s3cret",
}
DATACITE = {
    "DFC_DATACITE_REPOSITORY": "ABCD.EFGH",
    "DFC_DATACITE_PASSWORD": "s3cret",
    "DFC_DATACITE_PREFIX": "10.12345",
}
REQUIRED = {"DFC_SECRET_KEY": "k" * 32}
PRINT_URL = "import dfc_site.settings as s; print(s.DFC_SITE_URL)"


def start(tmp_path: Path, *, command: str = PRINT_URL, **given: str) -> "subprocess.CompletedProcess[str]":
    keep = {"PATH": os.environ["PATH"], **REQUIRED, "DFC_DATA_DIR": str(tmp_path)}
    words = [sys.executable, "-c", command]
    return subprocess.run(words, env=keep | given, capture_output=True, text=True, check=False)


@pytest.mark.filterwarnings("ignore:Engine not recognized")
@pytest.mark.parametrize(("name", "value", "finding"), BAD)
def test_a_bad_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, finding: str
) -> None:
    monkeypatch.setattr(
        env, "ENVIRON", {**REQUIRED, "DFC_DATA_DIR": str(tmp_path), **BUCKET, **DATACITE, name: value}
    )
    with pytest.raises(ImproperlyConfigured) as refused:
        run_path(str(SETTINGS))
    assert str(refused.value).startswith(f"{name}: ")
    assert finding in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_refusal_stops_the_start_and_is_its_last_line(tmp_path: Path) -> None:
    done = start(tmp_path, DFC_PORT="eighty")
    assert done.returncode != 0
    assert "DFC_PORT: 'eighty' is not a whole number" in done.stderr.strip().splitlines()[-1]


def test_good_values_start(tmp_path: Path) -> None:
    done = start(
        tmp_path,
        DFC_SITE_URL="https://data.example.org/",
        DFC_SEED_LISTEN="0.0.0.0:6881,[::]:6881",
        DFC_PRIVATE_NETWORKS="10.0.0.0/8,fd00::/8",
        DATABASE_URL="postgres://someone@127.0.0.1:5432/dfc",
    )
    assert done.stdout == "https://data.example.org\n", done.stderr


def test_our_own_storage_is_where_its_address_says(tmp_path: Path) -> None:
    opened = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'dfc_site.settings'\n"
        "from catalog.storage.connect import own_storage; storage = own_storage()\n"
        "print(type(storage).__name__, storage.directory, getattr(storage, 'address', None))"
    )
    assert start(tmp_path, command=opened).stdout == f"LocalStorage {tmp_path / 'storage'} None\n"
    elsewhere = start(tmp_path, command=opened, DFC_STORAGE_URL="file:///srv/d%20c")
    assert elsewhere.stdout == "LocalStorage /srv/d c None\n"
    bucket = start(tmp_path, command=opened, **BUCKET).stdout
    assert bucket.startswith("S3Storage None S3Address(bucket='bucket', prefix='prefix/', endpoint='https://s3.exa")
    assert "parts='equal', part_bytes=8388608" in bucket


def test_a_key_in_the_address_of_storage_is_refused_and_not_repeated(tmp_path: Path) -> None:
    refused = start(tmp_path, DFC_STORAGE_URL="s3://user:s3cret@bucket/prefix")
    assert "variables of their own" in refused.stderr
    assert "s3cret" not in refused.stderr.splitlines()[-1]


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


def test_a_signing_key_comes_from_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    pem, file = private_pem(), tmp_path / "key.pem"
    file.write_text(pem)
    file.chmod(0o640)
    refused = start(tmp_path, DFC_SIGNING_KEY_FILE=str(file))
    assert f"others may read {file} (mode 0640). Run chmod 600 {file}." in refused.stderr
    file.chmod(0o600)
    show = "import dfc_site.settings as s; print(s.DFC_SIGNING_KEY, end='')"
    assert start(tmp_path, command=show, DFC_SIGNING_KEY_FILE=str(file)).stdout == pem
    assert start(tmp_path, command=show, DFC_SIGNING_KEY=pem.replace("\n", "\\n")).stdout == pem
    both = start(tmp_path, DFC_SIGNING_KEY_FILE=str(file), DFC_SIGNING_KEY=pem)
    assert "DFC_SIGNING_KEY is set too" in both.stderr
    assert pem.splitlines()[1] not in refused.stderr + both.stderr
