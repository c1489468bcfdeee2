"""A source bundle is the same bytes whenever it is made, and a stranger rebuilds from it with Python alone."""

import gzip
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db.models import F

from catalog.models import Asset
from mirrors.deposits.bundle import places_of
from releases import bundle
from releases.builds import repositories
from releases.jobs import engine
from releases.models import Step
from tests import factories
from tests.releases.bundles import (
    INTERPRETER,
    MEBI,
    archive_fixture,  # noqa: F401  a fixture
    bundled,
    change,
    rebuild,
    sources_fixture,  # noqa: F401  a fixture
    unpacked_fixture,  # noqa: F401  a fixture
)
from tests.releases.processes import PEAK_KIB
from tests.releases.recipes import (
    GOOD,
    IDENTIFIER,
    PREAMBLE,
    SOURCE,
    SOURCE_SHA256,
    author_fixture,  # noqa: F401  a fixture
    bench_fixture,  # noqa: F401  a fixture
    built,
    commit,
    drafted,
    recipe,
    release_toml,
    reviewer_fixture,  # noqa: F401  a fixture
    tree_of,
)
from tests.releases.test_environments import wheel

EPOCH = 1767322800


def fill(folder: Path, names: list[str]) -> Path:
    """Lay out files, a program and a link, in the order of `names`."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("link"):
            path.symlink_to("../a.txt")
            continue
        path.write_text(name)
        path.chmod(0o700 if name.endswith(".sh") else 0o600)
        os.utime(path, (len(names), len(name)))
    return folder


NAMES = ["a.txt", "code/run.sh", "code/link", "code/é à.txt", f"code/{'long/' * 60}b.txt", "z.txt"]


def test_the_same_files_make_the_same_bytes_whatever_their_order_times_and_modes(tmp_path: Path) -> None:
    one = fill(tmp_path / "one", NAMES)
    before = os.umask(0o077)
    two = fill(tmp_path / "two", NAMES[::-1])
    bundle.write_bundle(tmp_path / "two.tar.gz", two, epoch=EPOCH)
    os.umask(before)
    for path in two.rglob("*.txt"):
        path.chmod(0o666)
    bundle.write_bundle(tmp_path / "other-name.tar.gz", one, epoch=EPOCH)
    bundle.write_bundle(tmp_path / "again.tar.gz", two, epoch=EPOCH)
    written = {(tmp_path / f"{name}.tar.gz").read_bytes() for name in ("other-name", "two", "again")}
    assert len(written) == 1


def test_an_archive_says_nothing_of_this_machine(tmp_path: Path) -> None:
    target = tmp_path / "a.tar.gz"
    bundle.write_bundle(target, fill(tmp_path / "one", NAMES), epoch=EPOCH)
    assert gzip.decompress(target.read_bytes())
    assert target.read_bytes()[3:8] == bytes(5)  # RFC 1952: no name, no time
    with tarfile.open(target) as tar:
        members = tar.getmembers()
    assert [one.name for one in members] == sorted(NAMES)
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in members} == {(0, 0, "", "", EPOCH)}
    assert {one.name: one.mode for one in members if one.name != "code/link"}["code/run.sh"] == 0o755
    assert {one.mode for one in members if one.name.endswith(".txt")} == {0o644}
    assert tarfile.TarInfo.issym(next(one for one in members if one.name == "code/link"))


def test_another_second_of_approval_makes_other_bytes(tmp_path: Path) -> None:
    folder = fill(tmp_path / "one", NAMES)
    for epoch in (EPOCH, EPOCH + 1):
        bundle.write_bundle(tmp_path / f"{epoch}.tar.gz", folder, epoch=epoch)
    assert (tmp_path / f"{EPOCH}.tar.gz").read_bytes() != (tmp_path / f"{EPOCH + 1}.tar.gz").read_bytes()


@pytest.mark.django_db
def test_a_bundle_made_again_is_the_same_and_stays_one_asset(bench: Path, author: Any, reviewer: Any) -> None:
    release = bundled(author, reviewer, bench)
    asset = Asset.objects.get(key="source-bundle")
    before = os.umask(0o077)
    bundle.lay_out(release, bench / "inside", places=places_of(release.version))
    os.umask(before)
    bundle.write_bundle(bench / "again.tar.gz", bench / "inside", epoch=bundle.approved_epoch(release))
    assert (bench / "again.tar.gz").read_bytes() == factories.own_path(asset.storage_key).read_bytes()
    Step.objects.filter(function="mirrors.deposits.bundle.make_bundle").update(
        state=Step.State.DUE, fence=F("fence") + 1
    )
    assert engine.run_step(Step.objects.get(function="mirrors.deposits.bundle.make_bundle").pk, has_heartbeat=False)
    assert Asset.objects.get(key="source-bundle") == asset
    assert not list(Path(django_settings.DFC_BUILDS_DIR).glob("*/bundle-*"))


@pytest.mark.django_db
def test_a_release_that_was_not_approved_has_no_bundle(bench: Path, author: Any) -> None:
    release = built(drafted(release_toml(recipe()), author, bench), author)
    with pytest.raises(ValueError, match="has not been approved"):
        bundle.approved_epoch(release)


def test_a_bundle_holds_all_that_a_rebuild_needs(unpacked: Path) -> None:
    assert sorted(path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if not path.is_dir()) == [
        "REBUILD.md",
        "attest.py",
        "code/__pycache__/a",
        "code/bin/latest.py",
        "code/bin/tool",
        "code/build.py",
        "code/requirements.lock",
        "environment/requirements.lock",
        "manifest.json",
        "metadata.json",
        "outputs.json",
        "parameters.json",
        "rebuild.py",
        "sources.json",
    ]
    page = Path("docs/rebuild.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}" in page or path.is_dir() for path in unpacked.iterdir())
    assert os.access(unpacked / "rebuild.py", os.X_OK)
    described = json.loads((unpacked / "metadata.json").read_text())
    assert described["doi"].startswith("10.5072/")
    assert (described["en"]["title"], described["fr"]["title"]) == ("Words", "Mots")
    assert described["attestations"].endswith("/api/v1/attestations/")


def test_sources_are_looked_for_on_mirrors_first_and_never_at_the_portal(unpacked: Path) -> None:
    places = json.loads((unpacked / "sources.json").read_text())[0]["places"]
    path = f"d4c-datapkg-foundation/processed/{IDENTIFIER}/v1.0.0/sources/words.txt"
    assert places == [
        f"https://far.example.org/{path}",
        f"https://origin.example.org/{path}",
        "https://upstream.example.org/words.txt",
    ]


def test_its_code_is_the_tree_that_the_manifest_locks(unpacked: Path, tmp_path: Path) -> None:
    dependencies = json.loads((unpacked / "manifest.json").read_text())["resolvedDependencies"]
    locked = next(one["digest"]["gitTree"] for one in dependencies if one["name"] == "code")
    assert tree_of(unpacked / "code", tmp_path) == locked
    assert (unpacked / "code" / "bin" / "latest.py").is_symlink()


def test_a_stranger_rebuilds_every_byte_without_our_code(unpacked: Path, sources: Path, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    ours = subprocess.run(
        [INTERPRETER, "-I", "-c", "import releases"], cwd=unpacked, capture_output=True, check=False
    )
    assert ours.returncode != 0
    done = rebuild(unpacked, "--sources", sources, "--wheels", tmp_path / "wheels")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("identical")
    assert (tmp_path / "out" / "words.csv").read_bytes() == SOURCE.upper()


def test_a_source_may_lie_there_under_its_digest(unpacked: Path, sources: Path) -> None:
    (sources / "words.txt").rename(sources / SOURCE_SHA256)
    assert rebuild(unpacked, "--sources", sources).returncode == 0


def test_a_rebuilt_recipe_sees_the_code_as_it_was_built(unpacked: Path, sources: Path) -> None:
    check = "assert os.access('bin/tool', os.X_OK) and os.path.islink('bin/latest.py')\n"
    check += 'assert given.parameters.read_text() == \'{"colour":"red","share":0.5}\'\n'
    check += "assert os.environ['SOURCE_DATE_EPOCH'] == '1767323045' and os.environ['TZ'] == 'UTC'\n"
    (unpacked / "code" / "build.py").write_text(PREAMBLE + check + GOOD)
    assert rebuild(unpacked, "--sources", sources).returncode == 0


def test_packages_come_from_the_wheels_alone(unpacked: Path, sources: Path, tmp_path: Path) -> None:
    _, lock = wheel(tmp_path / "wheels")
    (unpacked / "environment" / "requirements.lock").write_text(lock)
    (unpacked / "code" / "build.py").write_text(PREAMBLE + "import tiny_words\n" + GOOD)
    done = rebuild(unpacked, "--sources", sources, "--wheels", tmp_path / "wheels")
    assert done.returncode == 0, done.stderr
    (tmp_path / "none").mkdir()
    done = rebuild(unpacked, "--sources", sources, "--wheels", tmp_path / "none", "--out", tmp_path / "out2")
    assert done.returncode == 2
    assert "the packages of the environment could not be installed" in done.stderr


def other_digest(outputs: Any) -> None:
    outputs[0]["sha256"] = "0" * 64


def one_more(outputs: Any) -> None:
    outputs.append({"path": "more.csv", "sha256": "0" * 64, "size_bytes": 1})


@pytest.mark.parametrize(
    ("change_it", "line"),
    [(other_digest, "DIFFERENT"), (one_more, "MISSING"), (list.clear, "EXTRA")],
)
def test_what_differs_from_the_published_is_named_with_exit_code_1(
    unpacked: Path, sources: Path, change_it: Callable[[Any], None], line: str
) -> None:
    change(unpacked, "outputs.json", change_it)
    done = rebuild(unpacked, "--sources", sources)
    assert done.returncode == 1
    named = next(one for one in done.stdout.splitlines() if one.startswith(line))
    assert named.endswith("more.csv" if line == "MISSING" else "words.csv")


def test_a_link_in_the_place_of_a_file_differs(unpacked: Path, sources: Path) -> None:
    body = "Path('made').write_text(words.upper()); target.symlink_to(Path('made').absolute())\n"
    (unpacked / "code" / "build.py").write_text(PREAMBLE + body)
    done = rebuild(unpacked, "--sources", sources)
    assert done.returncode == 1
    assert "DIFFERENT  a link  words.csv" in done.stdout


def no_manifest(unpacked: Path) -> None:
    (unpacked / "manifest.json").unlink()


def broken_manifest(unpacked: Path) -> None:
    (unpacked / "manifest.json").write_text("[]")


def other_python(unpacked: Path) -> None:
    change(unpacked, "manifest.json", lambda document: document["internalParameters"].update(python="3.1"))


def other_parameters(unpacked: Path) -> None:
    (unpacked / "parameters.json").write_text("{}")


def failing_recipe(unpacked: Path) -> None:
    (unpacked / "code" / "build.py").write_text("raise SystemExit(1)")


def full_folder(unpacked: Path) -> None:
    (unpacked.parent / "out").mkdir()
    (unpacked.parent / "out" / "a").touch()


def file_as_folder(unpacked: Path) -> None:
    (unpacked.parent / "out").touch()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (no_manifest, "this bundle or folder cannot be used"),
        (broken_manifest, "this bundle or folder cannot be used"),
        (other_python, "it was built with Python 3.1, this is"),
        (other_parameters, "parameters.json is not what manifest.json locks"),
        (failing_recipe, "the recipe ended with exit code 1."),
        (full_folder, "is not empty. Name an empty folder."),
        (file_as_folder, "this bundle or folder cannot be used"),
    ],
)
def test_what_cannot_be_rebuilt_ends_with_exit_code_2_and_a_sentence(
    unpacked: Path, sources: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(unpacked)
    done = rebuild(unpacked, "--sources", sources)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Cannot rebuild: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


PACKING = f"""
import sys
from pathlib import Path
import django
django.setup()
from releases import bundle
before = {PEAK_KIB}
bundle.write_bundle(Path(sys.argv[2]), Path(sys.argv[1]), epoch=0)
print({PEAK_KIB} - before)
"""


def test_memory_stays_flat_while_a_large_file_is_packed(bench: Path) -> None:
    block = os.urandom(16 * 1024)
    found = commit({"large.bin": block * (100 * MEBI // len(block))})
    repositories.archive("words", found, bench / "inside" / "code")
    target = bench / "bundle.tar.gz"
    words = [sys.executable, "-c", PACKING, str(bench / "inside"), str(target)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "dfc_site.settings"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 20 * MEBI
    with tarfile.open(target) as tar:
        assert tar.getmember("code/large.bin").size == 100 * MEBI
