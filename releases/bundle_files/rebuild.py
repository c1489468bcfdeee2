#!/usr/bin/env python3
"""Rebuild what this bundle describes, and compare every byte with what was published.

    python3 rebuild.py [--sources DIR] [--wheels DIR] --out DIR

Needs Python and nothing else. Exit code 0: every file is identical. 1: built, but something differs.
2: it could not be built; one sentence says why.
"""

import argparse
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
BLOCK = 1 << 20
TIMEOUT_S = 60


class CannotRebuild(Exception):
    """Why there is nothing to compare; the message is for people."""


def main():
    parser = argparse.ArgumentParser(description="Rebuild this version and compare it with what was published.")
    parser.add_argument("--sources", type=Path, help="folder with the source files, by name or by sha256")
    parser.add_argument("--wheels", type=Path, help="folder with the packages of the environment")
    parser.add_argument("--out", type=Path, required=True, help="empty folder for the result")
    arguments = parser.parse_args()
    try:
        sys.exit(0 if rebuild(arguments) else 1)
    except CannotRebuild as error:
        print(f"Cannot rebuild: {error}", file=sys.stderr)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        print(f"Cannot rebuild: this bundle or folder cannot be used ({error!r}).", file=sys.stderr)
    sys.exit(2)


def rebuild(arguments):
    manifest = read_json("manifest.json")
    check_python(manifest["internalParameters"]["python"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    if any(arguments.out.iterdir()):
        raise CannotRebuild(f"{arguments.out} is not empty. Name an empty folder.")
    with tempfile.TemporaryDirectory(prefix="rebuild-") as scratch:
        sources = gather(Path(scratch) / "sources", arguments.sources)
        python = make_environment(Path(scratch) / "venv", arguments.wheels)
        run(python, manifest, sources, Path(scratch), arguments.out.resolve())
    return compare(arguments.out)


def read_json(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def check_python(wanted):
    found = f"{sys.version_info.major}.{sys.version_info.minor}"
    if found != wanted:
        raise CannotRebuild(f"it was built with Python {wanted}, this is {found}. Run it with python{wanted}.")


def gather(target, offered):
    """Put every source in `target` under its name, with the right bytes."""
    target.mkdir()
    for source in read_json("sources.json"):
        path = target / source["name"]
        findings = []
        if not take(source, path, offered, findings) and not fetch(source, path, findings):
            raise CannotRebuild(
                f"no place gave source {source['name']} (sha256 {source['sha256']}, {source['size_bytes']} bytes): "
                f"{'; '.join(findings)}. Get that file yourself and name its folder with --sources."
            )
    return target


def take(source, target, offered, findings):
    """Copy a source from the offered folder; false, with a finding, if it is not there with the right bytes."""
    if offered is None:
        return False
    there = [offered / name for name in (source["name"], source["sha256"]) if (offered / name).is_file()]
    for path in there:
        if sha256_of(path) == source["sha256"]:
            shutil.copyfile(path, target)
            return True
        findings.append(f"{path} has other bytes")
    if not there:
        findings.append(f"{offered} does not have it")
    return False


def fetch(source, target, findings):
    """Fetch a source from the first place that has the right bytes; false, with a finding for each, if none has."""
    for place in source["places"]:
        print(f"Fetching {place}", file=sys.stderr)
        try:
            with urllib.request.urlopen(place, timeout=TIMEOUT_S) as answer, target.open("wb") as file:
                fits = copy(answer, file, source["size_bytes"])
        except (OSError, ValueError, http.client.HTTPException) as error:
            findings.append(f"{place} cannot be reached ({' '.join(str(error).split())})")
            continue
        if fits and sha256_of(target) == source["sha256"]:
            return True
        findings.append(f"{place} has {'other bytes' if fits else 'more or fewer bytes'}")
    return False


def copy(answer, file, size_bytes):
    """Copy at most `size_bytes`; tell whether the answer had exactly so many. An endless one fills no disk."""
    left = size_bytes
    while left and (block := answer.read(min(BLOCK, left))):
        file.write(block)
        left -= len(block)
    return left == 0 and not answer.read(1)


def make_environment(folder, wheels):
    """Make a virtual environment of exactly the locked packages; none are needed for an empty lock."""
    lock = HERE / "environment" / "requirements.lock"
    lines = [line.strip() for line in lock.read_text(encoding="utf-8").splitlines()]
    has_packages = any(line and not line.startswith("#") for line in lines)
    try:
        venv.create(folder, with_pip=has_packages, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotRebuild(
            f"no virtual environment could be made ({error}). On Debian: apt install python3-venv."
        ) from error
    python = folder / "bin" / "python"
    if has_packages:
        where = ["--no-index", "--find-links", str(wheels)] if wheels else []
        command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", *where, "-r", lock]
        if subprocess.run([str(word) for word in command]).returncode != 0:
            raise CannotRebuild("the packages of the environment could not be installed; pip said why above.")
    return python


def run(python, manifest, sources, scratch, out):
    """Call the recipe as it was called for the published build."""
    external, internal = manifest["externalParameters"], manifest["internalParameters"]
    if read_json("parameters.json") != external["parameters"]:
        raise CannotRebuild("parameters.json is not what manifest.json locks. Get the bundle again.")
    code = scratch / "code"
    shutil.copytree(HERE / "code", code, symlinks=True)
    parameters = scratch / "parameters.json"
    shutil.copyfile(HERE / "parameters.json", parameters)
    command = [python, external["entryPoint"], "--sources", sources, "--out", out, "--parameters", parameters]
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(scratch), **internal["environment"]}
    done = subprocess.run([str(word) for word in command], cwd=code, env=environment)
    if done.returncode != 0:
        raise CannotRebuild(f"the recipe ended with exit code {done.returncode}.")


def compare(out):
    """Print one line a file; true if all are there with the published digest and nothing else is."""
    published = {one["path"]: one["sha256"] for one in read_json("outputs.json")}
    made = {
        path.relative_to(out).as_posix(): "a link" if path.is_symlink() else sha256_of(path)
        for path in sorted(out.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }
    for path in sorted(published.keys() | made.keys()):
        if path not in made:
            word = "MISSING  "
        elif path not in published:
            word = "EXTRA    "
        else:
            word = "identical" if made[path] == published[path] else "DIFFERENT"
        print(f"{word}  {made.get(path, '-')}  {path}")
    return made == published


def sha256_of(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    main()
