"""Read processing code from the git repositories that this installation keeps, at an exact commit.

Only their objects are read, through an empty git directory of our own: no setting, hook, filter, reference or
replacement of a kept repository has a say, nothing is fetched, and `.gitattributes` changes no byte. So the
files are exactly those of the commit's tree, on every machine.
"""

import hashlib
import os
import re
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from django.conf import settings
from django.utils.translation import gettext as _

from catalog.storage.scratch import scratch_folder
from releases.errors import RepositoryError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
COMMIT = re.compile(r"[0-9a-f]{40}")
HEADER = re.compile(
    rb"tree (?P<tree>[0-9a-f]{40})\n(?:parent [0-9a-f]{40}\n)*author .*\n"
    rb"committer .* (?P<time>-?[0-9]+) [+-][0-9]{4}\n"
)
SUBMODULE_MODE = 0o160000
MAX_TEXT_BYTES = 20 << 20
MAX_FILES = 100_000
MAX_BYTES = 20 << 30
BLOCK_BYTES = 1 << 20
# bigFileThreshold: larger blobs are streamed by git too, never held.
OWN_SETTINGS = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tbigFileThreshold = 8m\n"
OWN_ATTRIBUTES = "* -text !filter !ident !working-tree-encoding !export-ignore !export-subst\n"


@dataclass(frozen=True)
class Snapshot:
    """One commit: its id, the id of its tree, and when it was committed (seconds since 1970, UTC)."""

    commit: str
    tree: str
    committed_at: int


def snapshot(repository: str, commit: str) -> Snapshot:
    """Look a commit up; raises RepositoryError if the repository or the commit is not kept here."""
    body = git(repository, commit, "cat-file", "commit", commit)
    found = HEADER.match(body)
    if found is None or commit_id(body) != commit:
        raise RepositoryError(
            _("%(place)s: no commit but a tag, perhaps. Write the commit itself.")
            % {"place": place_of(repository, commit)}
        )
    return Snapshot(commit=commit, tree=found["tree"].decode(), committed_at=int(found["time"]))


def place_of(repository: str, commit: str) -> str:
    """Name a commit as refusals do."""
    return f"{repository}@{commit[:12]}"


def commit_id(body: bytes) -> str:
    """Name a commit as git does: by the SHA-1 of its kind, length and content."""
    return hashlib.sha1(b"commit %d\0%s" % (len(body), body), usedforsecurity=False).hexdigest()


def read_text(repository: str, commit: str, path: str) -> str:
    """Read one file of a commit; raises RepositoryError if it is not there, too long, or no UTF-8 text."""
    with reading(repository, commit, "cat-file", "blob", f"{commit}:{path}") as answer:
        content = answer.read(MAX_TEXT_BYTES + 1)
        if len(content) > MAX_TEXT_BYTES:
            raise RepositoryError(
                _("%(place)s: %(path)s has more than %(most)s MiB. Name another file.")
                % {"place": place_of(repository, commit), "path": path, "most": MAX_TEXT_BYTES >> 20}
            )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise RepositoryError(
            _("%(place)s: %(path)s is no UTF-8 text. Name another file.")
            % {"place": place_of(repository, commit), "path": path}
        ) from error


def difference(repository: str, before: str, after: str, *arguments: str, most: int) -> str:
    """Give git's difference between two commits, at most `most` bytes of it; what is no UTF-8 is replaced.

    Raises RepositoryError when one of them is not kept here.
    """
    snapshot(repository, before)
    words = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", *arguments, before, after)
    with reading(repository, after, *words) as answer:
        text = answer.read(most)
        while answer.read(BLOCK_BYTES):  # git ends well only when somebody reads to its end
            pass
    return text.decode(errors="replace").replace("\0", "�")


def archive(repository: str, commit: str, target: Path) -> None:
    """Unpack a commit's files into an empty folder, streamed, with modes 0755 and 0644 and its symbolic links.

    Raises RepositoryError also for submodules, whose content a commit does not hold, for links that lead out,
    and for more than MAX_FILES or MAX_BYTES.
    """
    check_tree(repository, commit)
    target.mkdir(parents=True, exist_ok=True)
    try:
        with reading(repository, commit, "archive", "--format=tar", commit) as packed:
            with tarfile.open(fileobj=packed, mode="r|") as tar:
                unpack(tar, target)
            while packed.read(BLOCK_BYTES):  # git still writes the padding after the end mark
                pass
    except tarfile.FilterError as error:
        raise refuse_link(repository, commit, str(error)) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise RepositoryError(
            _("%(place)s: it has one name twice (%(finding)s). Run `git fsck` in %(repository)s.")
            % {"place": place_of(repository, commit), "finding": error, "repository": repository}
        ) from error
    except tarfile.ReadError as error:
        raise RepositoryError(
            _("%(place)s: it cannot be read whole (%(finding)s). Run `git fsck` in %(repository)s.")
            % {"place": place_of(repository, commit), "finding": error, "repository": repository}
        ) from error
    for path in target.rglob("*"):
        if path.is_symlink() and not leads_inside(path, target):
            finding = _("%(path)s leads out of it, or nowhere") % {"path": path.relative_to(target)}
            raise refuse_link(repository, commit, finding)


def unpack(tar: tarfile.TarFile, target: Path) -> None:
    """Extract files first and links last, word for word, so that no file is ever written through a link."""
    links = []
    for member in tar:
        if member.issym():
            links.append(member)
        else:
            tar.extract(member, target, filter="data")
    for member in links:
        tarfile.data_filter(member, str(target))
        (target / member.name).symlink_to(member.linkname)


def leads_inside(link: Path, folder: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # nothing there; RuntimeError is a circle
        return False


def refuse_link(repository: str, commit: str, finding: str) -> RepositoryError:
    return RepositoryError(
        _("%(place)s: %(finding)s. Remove links that lead out of the repository.")
        % {"place": place_of(repository, commit), "finding": finding}
    )


def check_tree(repository: str, commit: str) -> None:
    """Refuse what should not be unpacked before the first file is written."""
    files, size_bytes = 0, 0
    with reading(repository, commit, "ls-tree", "-r", "-l", commit) as listing:
        for line in listing:
            facts, path = line.decode(errors="replace").rstrip("\n").split("\t", 1)
            mode, _kind, _name, length = facts.split()
            if stat.S_IFMT(int(mode, 8)) == SUBMODULE_MODE:
                raise RepositoryError(
                    _(
                        "%(place)s: %(path)s is a submodule, whose files the commit does not hold. "
                        "Copy them into the repository."
                    )
                    % {"place": place_of(repository, commit), "path": path}
                )
            files, size_bytes = files + 1, size_bytes + (int(length) if length.isdecimal() else 0)
            if files > MAX_FILES or size_bytes > MAX_BYTES:
                raise RepositoryError(
                    _(
                        "%(place)s: more than %(files)s files or %(size)s GiB. "
                        "Keep data out of it; upstream files are sources."
                    )
                    % {"place": place_of(repository, commit), "files": MAX_FILES, "size": MAX_BYTES >> 30}
                )


def git(repository: str, commit: str, *arguments: str) -> bytes:
    """Give what git answers, where that is short."""
    with reading(repository, commit, *arguments) as answer:
        return answer.read()


@contextmanager
def reading(repository: str, commit: str, *arguments: str) -> Iterator[IO[bytes]]:
    """Give git's answer as a stream; raises RepositoryError with git's own words when it failed."""
    objects = objects_of(repository)
    if not COMMIT.fullmatch(commit):
        raise RepositoryError(
            _("%(repository)s: %(commit)s is no exact commit. Write all 40 hexadecimal digits.")
            % {"repository": repository, "commit": repr(commit)}
        )
    with scratch_folder(Path(settings.DFC_SCRATCH_DIR), "git-") as own, tempfile.TemporaryFile() as words:
        environment = clean_environment(own, objects)
        with subprocess.Popen(
            ["git", *arguments],
            cwd=own,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
        ) as process:
            yield cast("IO[bytes]", process.stdout)
        if process.returncode != 0:
            words.seek(0)
            raise RepositoryError(
                _("%(place)s: %(finding)s. Fetch it into %(repository)s, or correct release.toml.")
                % {
                    "place": place_of(repository, commit),
                    "finding": said(words.read()),
                    "repository": repository,
                },
                repository=repository,
                commit=commit,
            )


def said(words: bytes) -> str:
    """Give git's own words for people, in one line."""
    line = " ".join(words.decode(errors="replace").split()).removeprefix("fatal: ")[:400]
    return _("it is not kept here, or is of another kind") if line.endswith("bad file") else line or _("git failed")


def clean_environment(own: Path, objects: Path) -> dict[str, str]:
    """Fill an empty git directory and give the environment in which git knows nothing else but `objects`."""
    for folder in ("refs", "objects", "info"):
        (own / folder).mkdir()
    (own / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
    (own / "config").write_text(OWN_SETTINGS, encoding="ascii")
    (own / "info" / "attributes").write_text(OWN_ATTRIBUTES, encoding="ascii")
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_DIR": str(own),
        "GIT_OBJECT_DIRECTORY": str(objects),
        "LC_ALL": "C.UTF-8",
    }


def objects_of(repository: str) -> Path:
    """Find the objects of a kept repository, with a work tree or without; RepositoryError for any other name."""
    if NAME.fullmatch(repository):
        folder = Path(settings.DFC_REPOSITORIES_DIR) / repository
        for objects in (folder / ".git" / "objects", folder / "objects"):
            if objects.is_dir():
                return objects
    raise RepositoryError(
        _(
            "%(repository)s: no repository of that name is kept here. "
            "Clone it into the folder `repositories` of the data directory."
        )
        % {"repository": repr(repository)},
        repository=repository,
    )
