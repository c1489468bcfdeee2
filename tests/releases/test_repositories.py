"""Code is read at an exact commit, byte for byte as its tree has it, and reading a repository runs nothing of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from releases.builds import repositories
from releases.errors import RepositoryError
from tests.releases.processes import PEAK_KIB
from tests.releases.recipes import bench_fixture, commit, git, repository_folder, tree_of  # noqa: F401  the fixture

MISSING = "0" * 40
MEBI = 1 << 20


def trap(bench: Path) -> tuple[str, Path]:
    """Give a command that leaves a file when it is run, and that file."""
    sprung = bench / "sprung"
    script = bench / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {sprung}\ncat\n")
    script.chmod(0o755)
    return str(script), sprung


def read_everything(commit_id: str, bench: Path) -> None:
    repositories.snapshot("words", commit_id)
    repositories.read_text("words", commit_id, "build.py")
    repositories.archive("words", commit_id, bench / "code")


def test_a_commit_is_looked_up_with_its_tree_and_time(bench: Path) -> None:
    found = commit({"build.py": "pass\n"})
    snapshot = repositories.snapshot("words", found)
    assert snapshot.commit == found
    assert snapshot.tree == git(repository_folder(), "rev-parse", f"{found}^{{tree}}")
    assert snapshot.committed_at == 1767323045  # 2026-01-02 03:04:05 UTC


def test_an_older_commit_stays_what_it_was(bench: Path) -> None:
    first = commit({"build.py": "first\n"})
    commit({"build.py": "second\n", "new.py": "pass\n"})
    (repository_folder() / "build.py").write_text("not committed\n")
    assert repositories.read_text("words", first, "build.py") == "first\n"
    repositories.archive("words", first, bench / "code")
    assert [path.name for path in (bench / "code").iterdir()] == ["build.py"]


@pytest.mark.parametrize(
    "wrong", ["main", "HEAD", "", "a" * 39, "A" * 40, "a" * 41, "--help", f"{'a' * 40}^", MISSING]
)
def test_only_an_exact_commit_that_is_kept_is_taken(bench: Path, wrong: str) -> None:
    commit({"build.py": "pass\n"})
    with pytest.raises(RepositoryError, match=r"words.*(no exact commit|it is not kept here)"):
        repositories.snapshot("words", wrong)


def test_a_shortened_commit_is_refused(bench: Path) -> None:
    found = commit({"build.py": "pass\n"})
    with pytest.raises(RepositoryError, match=r"Write all 40 hexadecimal digits"):
        repositories.archive("words", found[:12], bench / "code")
    assert not (bench / "code").exists()


def test_a_tag_is_no_commit(bench: Path) -> None:
    commit({"build.py": "pass\n"})
    git(repository_folder(), "tag", "--annotate", "--message=v1", "v1")
    tag = git(repository_folder(), "rev-parse", "v1")
    with pytest.raises(RepositoryError, match=r"a tag, perhaps. Write the commit itself"):
        repositories.snapshot("words", tag)


def test_a_tree_or_a_file_is_no_commit(bench: Path) -> None:
    commit({"build.py": "pass\n"})
    for name in ("HEAD^{tree}", "HEAD:build.py"):
        with pytest.raises(RepositoryError, match=r"Fetch it into words, or correct release.toml"):
            repositories.snapshot("words", git(repository_folder(), "rev-parse", name))


@pytest.mark.parametrize(
    "name", ["other", "..", "../words", "words/..", "/etc", "", ".words", "words\n", "WORDS", "-c"]
)
def test_a_name_that_is_not_kept_here_or_leads_elsewhere_is_refused(bench: Path, name: str) -> None:
    found = commit({"build.py": "pass\n"})
    (bench / "repositories" / ".words").symlink_to(repository_folder())
    with pytest.raises(RepositoryError, match=r"no repository of that name is kept here. Clone it"):
        repositories.snapshot(name, found)


def test_a_folder_without_a_repository_is_refused(bench: Path) -> None:
    (bench / "repositories" / "empty").mkdir(parents=True)
    with pytest.raises(RepositoryError, match=r"'empty': no repository"):
        repositories.snapshot("empty", MISSING)


@pytest.mark.parametrize("path", ["absent.py", "", ".", "folder", "../words/build.py", "/etc/passwd", "build.py/"])
def test_a_path_that_the_commit_does_not_hold_is_refused(bench: Path, path: str) -> None:
    found = commit({"build.py": "pass\n", "folder/one.py": "pass\n"})
    with pytest.raises(RepositoryError, match=f"words@{found[:12]}"):
        repositories.read_text("words", found, path)


def test_what_is_no_text_or_too_long_for_one_is_refused(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = commit({"data.bin": b"\xff\xfe\x00", "long.txt": "x" * 2000})
    with pytest.raises(RepositoryError, match=r"data.bin is no UTF-8 text"):
        repositories.read_text("words", found, "data.bin")
    monkeypatch.setattr(repositories, "MAX_TEXT_BYTES", 1999)
    with pytest.raises(RepositoryError, match=r"long.txt has more than"):
        repositories.read_text("words", found, "long.txt")


def test_an_archive_is_exactly_the_tree_with_modes_and_links(bench: Path) -> None:
    files: dict[str, str | bytes] = {
        "build.py": "pass\n",
        "bin/tool": "#!/bin/sh\n",
        "données/é à.txt": "é\n",
        "__pycache__/kept.pyc": b"\0",
    }
    links = {"latest.py": "build.py", "bin/inner": "../données/./é à.txt", "folder": "bin"}
    found = commit(files, links=links, executable=("bin/tool",))
    before = os.umask(0o077)
    repositories.archive("words", found, bench / "code")
    os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (bench / "code" / "bin").iterdir()}
    assert modes["tool"] == 0o755
    assert (bench / "code" / "build.py").stat().st_mode & 0o777 == 0o644
    assert os.readlink(bench / "code" / "bin" / "inner") == "../données/./é à.txt"  # noqa: PTH115  word for word
    assert tree_of(bench / "code", bench) == repositories.snapshot("words", found).tree


def test_attributes_change_no_byte(bench: Path) -> None:
    attributes = (
        "*.txt export-subst ident text eol=crlf\nhidden.txt export-ignore\nwide.txt working-tree-encoding=UTF-16\n"
    )
    files: dict[str, str | bytes] = {
        ".gitattributes": attributes,
        "a.txt": "$Format:%H %d$ $Id$\n",
        "hidden.txt": "here\n",
        "wide.txt": "é".encode("utf-16"),
    }
    found = commit({**files, "build.py": "pass\n"})
    repositories.archive("words", found, bench / "code")
    assert (bench / "code" / "a.txt").read_text() == "$Format:%H %d$ $Id$\n"
    assert (bench / "code" / "hidden.txt").read_text() == "here\n"
    assert tree_of(bench / "code", bench) == repositories.snapshot("words", found).tree


def filter_trap(command: str) -> None:
    git(repository_folder(), "config", "filter.trap.smudge", command)
    (repository_folder() / ".git" / "info" / "attributes").write_text("* filter=trap\n")


def hook_trap(command: str) -> None:
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        shutil.copy(command, repository_folder() / ".git" / "hooks" / name)


def settings_trap(command: str) -> None:
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "gpg.program", "tar.tar.command"):
        git(repository_folder(), "config", name, command)
    git(repository_folder(), "config", "log.showSignature", "true")
    git(repository_folder(), "config", "diff.trap.textconv", command)


@pytest.mark.parametrize("set_up", [filter_trap, hook_trap, settings_trap])
def test_nothing_of_a_kept_repository_runs_by_being_read(bench: Path, set_up: Callable[[str], None]) -> None:
    command, sprung = trap(bench)
    found = commit({"build.py": "pass\n", ".gitattributes": "* filter=trap diff=trap\n"})
    set_up(command)
    read_everything(found, bench)
    assert not sprung.exists()
    assert (bench / "code" / "build.py").read_text() == "pass\n"


def test_the_settings_of_a_person_or_the_machine_do_not_run_anything(bench: Path, monkeypatch: Any) -> None:
    command, sprung = trap(bench)
    found = commit({"build.py": "pass\n", ".gitattributes": "* filter=trap\n"})
    (bench / ".gitconfig").write_text(f'[filter]\n[filter "trap"]\n\tsmudge = {command}\n')
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(bench))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(bench / ".gitconfig"))
    monkeypatch.setenv("GIT_DIR", str(bench / "elsewhere"))
    read_everything(found, bench)
    assert not sprung.exists()


def test_a_replacement_does_not_stand_in_for_the_commit(bench: Path) -> None:
    first = commit({"build.py": "first\n"})
    second = commit({"build.py": "second\n"})
    git(repository_folder(), "replace", first, second)
    repositories.archive("words", first, bench / "code")
    assert (bench / "code" / "build.py").read_text() == "first\n"


def test_a_submodule_is_refused_by_its_path(bench: Path) -> None:
    commit({"one.py": "pass\n"}, name="inner")
    commit({"build.py": "pass\n"})
    git(repository_folder(), "submodule", "add", "--quiet", str(repository_folder("inner")), "libs/inner")
    found = commit({})
    with pytest.raises(RepositoryError, match=r"libs/inner is a submodule.*Copy them into the repository"):
        repositories.archive("words", found, bench / "code")
    assert not (bench / "code").exists()


@pytest.mark.parametrize(
    "links",
    [
        {"out": "/etc/passwd"},
        {"out": "../secret"},
        {"folder/out": "../../secret"},
        {"up": "folder/..", "folder/out": "../up/../secret"},
        {"folder/up": "..", "other/chain": "../folder/up/../secret"},
        {"nowhere": "absent"},
        {"circle": "circle"},
    ],
    ids=["absolute", "parent", "deeper", "through-a-link", "chain", "dangling", "circle"],
)
def test_a_link_that_leads_out_or_nowhere_is_refused(bench: Path, links: dict[str, str]) -> None:
    (bench / "secret").write_text("secret\n")
    for folder in ("folder", "other"):
        repository_folder().joinpath(folder).mkdir(parents=True, exist_ok=True)
    git(repository_folder(), "init", "--quiet", "--initial-branch=main")
    found = commit({"build.py": "pass\n", "folder/a.py": "pass\n"}, links=links)
    with pytest.raises(RepositoryError, match=r"Remove links that lead out of the repository"):
        repositories.archive("words", found, bench / "code")


def forged_tree(entries: str) -> str:
    """Write a tree that git itself would not make, and a commit of it; gives the commit's id."""
    made = subprocess.run(
        ["git", "-C", str(repository_folder()), "mktree", "--missing"],
        input=entries,
        capture_output=True,
        text=True,
        check=True,
    )
    return git(repository_folder(), "commit-tree", "-m", "forged", made.stdout.strip())


def test_a_forged_tree_writes_nothing_outside(bench: Path) -> None:
    commit({"build.py": "pass\n"})
    blob = git(repository_folder(), "rev-parse", "HEAD:build.py")
    inner = subprocess.run(
        ["git", "-C", str(repository_folder()), "mktree"],
        input=f"100644 blob {blob}\tescaped.py\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    found = forged_tree(f"040000 tree {inner}\t..\n")
    with pytest.raises(RepositoryError):
        repositories.archive("words", found, bench / "code")
    assert not (bench / "escaped.py").exists()


@pytest.mark.parametrize("first", ["link", "folder"])
def test_a_forged_tree_with_one_name_twice_is_refused(bench: Path, first: str) -> None:
    commit({"build.py": "pass\n", "sub/a.py": "pass\n"}, links={"link": "sub"})
    link = f"120000 blob {git(repository_folder(), 'rev-parse', 'HEAD:link')}\ttwice"
    folder = f"040000 tree {git(repository_folder(), 'rev-parse', 'HEAD:sub')}\ttwice"
    sub = folder.replace("twice", "sub")
    found = forged_tree("\n".join([sub, link, folder] if first == "link" else [sub, folder, link]) + "\n")
    with pytest.raises(RepositoryError, match=f"words@{found[:12]}: it has one name twice"):
        repositories.archive("words", found, bench / "code")


def test_a_tree_that_unpacks_without_end_is_refused_before_the_first_file(bench: Path) -> None:
    commit({"build.py": "pass\n"})
    inner = git(repository_folder(), "rev-parse", "HEAD^{tree}")
    for _ in range(9):
        entries = "".join(f"040000 tree {inner}\t{name}\n" for name in "0123456789")
        inner = git(repository_folder(), "rev-parse", f"{forged_tree(entries)}^{{tree}}")
    found = git(repository_folder(), "commit-tree", "-m", "bomb", inner)
    with pytest.raises(RepositoryError, match=r"more than 100000 files.*upstream files are sources"):
        repositories.archive("words", found, bench / "code")
    assert not (bench / "code").exists()


def test_a_damaged_repository_is_refused_with_the_finding(bench: Path) -> None:
    found = commit({"build.py": "pass\n", "data.txt": "x" * 5000})
    blob = git(repository_folder(), "rev-parse", "HEAD:data.txt")
    loose = repository_folder() / ".git" / "objects" / blob[:2] / blob[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"damage")
    with pytest.raises(RepositoryError, match=f"words@{found[:12]}"):
        repositories.archive("words", found, bench / "code")


@pytest.mark.parametrize("words", [("--bare",), ("--depth=1",), ("--shared",)])
def test_every_form_of_clone_is_read(bench: Path, words: tuple[str, ...]) -> None:
    commit({"build.py": "first\n"})
    found = commit({"build.py": "second\n"})
    git(bench, "clone", "--quiet", *words, f"file://{repository_folder()}", str(repository_folder("copy")))
    assert repositories.snapshot("copy", found).commit == found
    repositories.archive("copy", found, bench / "code")
    assert (bench / "code" / "build.py").read_text() == "second\n"


STREAMING = f"""
import resource, sys
from pathlib import Path
from django.conf import settings
settings.configure(DFC_REPOSITORIES_DIR=sys.argv[1], DFC_SCRATCH_DIR=sys.argv[1])
from releases.builds import repositories
before = {PEAK_KIB}
repositories.archive("words", sys.argv[2], Path(sys.argv[3]))
ours = {PEAK_KIB} - before
print(ours, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_stays_flat_while_a_large_file_is_unpacked(bench: Path) -> None:
    block = os.urandom(16 * 1024)
    found = commit({"build.py": "pass\n", "large.bin": block * (100 * MEBI // len(block))})
    target = bench / "code"
    words = [sys.executable, "-c", STREAMING, str(bench / "repositories"), found, str(target)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    ours_kib, gits_kib = map(int, done.stdout.split())
    assert (target / "large.bin").stat().st_size == 100 * MEBI
    assert ours_kib * 1024 < 20 * MEBI
    assert gits_kib * 1024 < 60 * MEBI
