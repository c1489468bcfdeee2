"""What signs on a rebuilder's machine agrees with well-kept libraries: ed25519, key ids, envelopes, git trees."""

import importlib.util
import json
import os
import random
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from releases.bundle import FILES
from releases.statements import envelopes, provenance
from tests.releases.keys import private_pem
from tests.releases.recipes import tree_of
from tests.releases.test_provenance import AT, MANIFEST
from tests.releases.test_provenance import FILES as MADE

KEYS_TRIED = 200


def load() -> Any:
    spec = importlib.util.spec_from_file_location("bundle_attest", FILES / "attest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


attest = load()


def keygen(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", str(FILES / "rebuild.py"), "keygen", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_signatures_are_those_of_a_library_for_hundreds_of_keys_and_messages() -> None:
    drawn = random.Random(8032)
    for number in range(KEYS_TRIED):
        seed, message = drawn.randbytes(32), drawn.randbytes(drawn.choice([0, 1, 63, 64, 1000, number]))
        key = Ed25519PrivateKey.from_private_bytes(seed)
        assert attest.public_of(seed) == key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        assert attest.sign(seed, message) == key.sign(message)


def test_the_test_vectors_of_rfc_8032_hold() -> None:
    seed = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    assert attest.public_of(seed).hex() == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    assert attest.sign(seed, bytes.fromhex("af82")).hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )


def test_keygen_makes_a_key_for_its_owner_alone_and_prints_what_the_portal_would(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    done = keygen(path)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    signer = envelopes.read_signer(path.read_text())
    assert done.stdout == f"{envelopes.public_pem(signer.public_key)}Key id: {signer.public_key.keyid}\n"
    assert [one.name for one in tmp_path.iterdir()] == ["key.pem"]


def test_keygen_never_replaces_a_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("mine")
    done = keygen(path)
    assert done.returncode == 2
    assert "cannot be made (File exists). Name a file that is not there." in done.stderr
    assert path.read_text() == "mine"


def test_a_key_that_others_may_read_or_that_is_none_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(private_pem())
    path.chmod(0o640)
    with pytest.raises(attest.KeyUnusable, match="Run chmod 600"):
        attest.read_seed(path)
    path.chmod(0o600)
    assert len(attest.read_seed(path)) == 32
    for text in ("nothing", "é", "-----BEGIN PRIVATE KEY-----\nAAAA\n"):
        path.write_text(text)
        with pytest.raises(attest.KeyUnusable):
            attest.read_seed(path)
    with pytest.raises(attest.KeyUnusable, match="cannot be read"):
        attest.read_seed(tmp_path / "absent")


def test_the_portal_reads_what_a_rebuilder_wrote() -> None:
    seed = os.urandom(32)
    run = attest.run_details(AT, "a" * 40)
    text = attest.provenance(MANIFEST, MADE | {"é “à”.csv": "e" * 64}, run)
    assert rfc8785.dumps(json.loads(text)).decode() == text
    opened = envelopes.open_envelope(attest.envelope(text, seed).encode())
    key = envelopes.read_public_key(attest.pem("PUBLIC", attest.PUBLIC_DER + attest.public_of(seed)))
    envelopes.verify(opened, key)
    assert opened.keyid == key.keyid == attest.keyid_of(attest.public_of(seed))
    read = provenance.read_statement(opened.payload)
    assert read.subjects["é “à”.csv"] == "e" * 64
    assert (read.started_at, read.code_tree) == (AT, "a" * 40)
    assert AT < read.finished_at <= datetime.now(UTC)


def test_the_portal_reads_a_failure_that_a_rebuilder_wrote() -> None:
    text = attest.failure(MANIFEST, "the recipe ended with exit code 1", attest.run_details(AT, "a" * 40))
    assert rfc8785.dumps(json.loads(text)).decode() == text
    read = provenance.read_statement(text.encode())
    assert read.failed_tests == ("the recipe ended with exit code 1",)


def test_the_tree_of_the_code_is_that_of_git(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a" / "b" / "é.txt").write_text("é")
    (folder / "a.txt").write_text("sorted before the folder a")
    (folder / "a-b").write_text("")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("a/../run")
    assert attest.git_tree(folder).hex() == tree_of(folder, tmp_path)
