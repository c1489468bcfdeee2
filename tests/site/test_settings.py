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
    ("DFC_LEASE_S", "soon", "not a number of seconds"),
    ("DFC_LEASE_S", "0", "not above zero"),
    ("DFC_LEASE_S", "inf", "not above zero and finite"),
    ("DATABASE_URL", "mysql://localhost/dfc", "is not supported"),
    ("DATABASE_URL", "nonsense", "DATABASE_URL"),
]


def start(tmp_path: Path, **given: str) -> "subprocess.CompletedProcess[str]":
    keep = {"PATH": os.environ["PATH"], "DFC_SECRET_KEY": "k" * 32, "DFC_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", "import dfc_site.settings as s; print(s.DFC_SITE_URL)"]
    return subprocess.run(command, env=keep | given, capture_output=True, text=True, check=False)


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
