#!/usr/bin/env python3
"""Rebuild what this bundle describes, and compare every byte with what was published.

    python3 rebuild.py [--sources DIR] [--wheels DIR] [--attest KEYFILE] --out DIR
    python3 rebuild.py --bundle URL [--bundle URL ...] --sha256 HEX ... --out DIR    # alone, without the bundle
    python3 rebuild.py keygen KEYFILE

Needs Python and nothing else. Exit code 0: every file is identical. 1: built, but something differs.
2: it could not be built; one sentence says why.
"""

import argparse
import hashlib
import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
BLOCK = 1 << 20
LINK = "a link"
TIMEOUT_S = 60
LARGEST_BUNDLE = 4 << 30


class CannotRebuild(Exception):
    """Why there is nothing to compare; the message is for people."""


class RecipeFailed(CannotRebuild):
    """The recipe itself gave nothing: a fact about the version, which is attested too."""


def main():
    try:
        sys.exit(run_words(sys.argv[1:]))
    except CannotRebuild as error:
        print(f"Cannot rebuild: {error}", file=sys.stderr)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        print(f"Cannot rebuild: this bundle or folder cannot be used ({error!r}).", file=sys.stderr)
    sys.exit(2)


def run_words(words):
    """Do what the words say; gives the exit code."""
    if words[:1] == ["keygen"]:
        return make_key(words[1:])
    fetching, others = words_of_fetching().parse_known_args(words)
    if fetching.bundle:
        return from_mirrors(fetching, others)
    arguments = read_words(words)
    made = attested(arguments) if arguments.attest else rebuild(arguments)
    return 0 if compare(made) else 1


def read_words(words):
    parser = argparse.ArgumentParser(
        description="Rebuild this version and compare it with what was published.", parents=[words_of_fetching()]
    )
    parser.add_argument("--sources", type=Path, help="folder with the source files, by name or by sha256")
    parser.add_argument("--wheels", type=Path, help="folder with the packages of the environment")
    parser.add_argument("--out", type=Path, required=True, help="empty folder for the result")
    parser.add_argument("--attest", type=Path, metavar="KEYFILE", help="sign what came out; see rebuild.py keygen")
    return parser.parse_args(words)


def rebuild(arguments):
    """Run the recipe; gives the digests of the files that came out, by path."""
    manifest = read_json("manifest.json")
    check_python(manifest["internalParameters"]["python"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    if any(arguments.out.iterdir()):
        raise CannotRebuild(f"{arguments.out} is not empty. Name an empty folder.")
    with tempfile.TemporaryDirectory(prefix="rebuild-") as scratch:
        sources = gather(Path(scratch) / "sources", arguments.sources)
        python = make_environment(Path(scratch) / "venv", arguments.wheels)
        run(python, manifest, sources, Path(scratch), arguments.out.resolve())
    return files_in(arguments.out)


def read_json(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def check_python(wanted):
    found = f"{sys.version_info.major}.{sys.version_info.minor}"
    if found != wanted:
        raise CannotRebuild(f"it was built with Python {wanted}, this is {found}. Run it with python{wanted}.")


def gather(target, offered):
    """Put every source in `target` under its name, with the right bytes."""
    target.mkdir()
    for source in locked_sources():
        path = target / source["name"]
        findings = []
        if not take(source, path, offered, findings) and not fetch(source, path, findings):
            raise CannotRebuild(
                f"no place gave source {source['name']} (sha256 {source['sha256']}, {source['size_bytes']} bytes): "
                f"{'; '.join(findings)}. Get that file yourself and name its folder with --sources."
            )
    return target


def locked_sources():
    """Read sources.json, which may add places to what manifest.json locks and nothing else."""
    sources, locked = read_json("sources.json"), read_json("manifest.json")["resolvedDependencies"]
    named = {f"source/{one['name']}": one["sha256"] for one in sources}
    if named != {one["name"]: one["digest"]["sha256"] for one in locked if one["name"].startswith("source/")}:
        raise CannotRebuild("sources.json is not what manifest.json locks. Get the bundle again.")
    return sources


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
        raise RecipeFailed(f"the recipe ended with exit code {done.returncode}.")


def files_in(out):
    """Give the digests of all files in a folder by path; a link has none."""
    return {
        path.relative_to(out).as_posix(): LINK if path.is_symlink() else sha256_of(path)
        for path in sorted(out.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def compare(made):
    """Print one line a file; true if all are there with the published digest and nothing else is."""
    published = {one["path"]: one["sha256"] for one in read_json("outputs.json")}
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


# From mirrors, without the bundle


def words_of_fetching():
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--bundle", action="append", metavar="URL", help="where source-bundle.tar.gz lies; repeatable"
    )
    parser.add_argument("--sha256", help="the digest of source-bundle.tar.gz")
    return parser


def from_mirrors(fetching, others):
    """Fetch the bundle, check it before anything of it is used, and let its own rebuild.py go on."""
    if not fetching.sha256:
        raise CannotRebuild("--bundle needs --sha256, or any bytes would do. The page of the version has it.")
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        archive, bundle = Path(scratch) / "source-bundle.tar.gz", Path(scratch) / "bundle"
        fetch_bundle(fetching.bundle, fetching.sha256.lower(), archive)
        with tarfile.open(archive) as tar:
            tar.extractall(bundle, filter="data")
        return subprocess.run([sys.executable, "-I", str(bundle / "rebuild.py"), *others]).returncode


def fetch_bundle(places, sha256, target):
    """Fetch the bundle from the first place that has exactly these bytes; raises CannotRebuild, naming all others."""
    findings = []
    for place in places:
        print(f"Fetching {place}", file=sys.stderr)
        try:
            with urllib.request.urlopen(place, timeout=TIMEOUT_S) as answer, target.open("wb") as file:
                left = LARGEST_BUNDLE
                while left > 0 and (block := answer.read(BLOCK)):
                    left -= file.write(block)
        except (OSError, ValueError, http.client.HTTPException) as error:
            findings.append(f"{place} cannot be reached ({' '.join(str(error).split())})")
            continue
        if sha256_of(target) == sha256:
            return
        findings.append(f"{place} has other bytes")
    raise CannotRebuild(f"no place gave the bundle with sha256 {sha256}: {'; '.join(findings)}. Try another mirror.")


# Signed statements


def make_key(words):
    parser = argparse.ArgumentParser(prog="rebuild.py keygen", description="Make a key to sign rebuilds with.")
    parser.add_argument("file", type=Path, help="where the private key goes; it must not be there yet")
    attest = signing()
    try:
        attest.keygen(parser.parse_args(words).file)
    except attest.KeyUnusable as error:
        raise CannotRebuild(str(error)) from error
    return 0


def attested(arguments):
    """Rebuild and write a signed statement of what came of it; gives the files that came out.

    Only the recipe's own failure is stated: a place that cannot be reached says nothing about the version.
    """
    attest = signing()
    try:
        seed = attest.read_seed(arguments.attest)
    except attest.KeyUnusable as error:
        raise CannotRebuild(str(error)) from error
    manifest, started_at = (HERE / "manifest.json").read_text(encoding="utf-8"), attest.now()
    code = attest.git_tree(HERE / "code").hex()
    try:
        made = rebuild(arguments)
    except RecipeFailed as error:
        failed = str(error).rstrip(".")
        text = attest.failure(manifest, failed, attest.run_details(started_at, code))
        write_statement(attest.envelope(text, seed), arguments.out)
        raise
    files = {path: digest for path, digest in made.items() if digest != LINK}
    run = attest.run_details(started_at, code)
    text = attest.provenance(manifest, files, run) if files else attest.failure(manifest, "no file came out", run)
    write_statement(attest.envelope(text, seed), arguments.out)
    return made


def write_statement(envelope, out):
    """Write the envelope beside the folder of results, whole or not at all."""
    target = out.resolve().parent / "attestation.json"
    unfinished = target.with_name(".attestation.unfinished")
    unfinished.write_text(envelope, encoding="utf-8")
    unfinished.replace(target)
    door = read_json("metadata.json")["attestations"]
    print(f"Signed: {target}\nSend it: curl --data-binary @{target} {door}", file=sys.stderr)


def signing():
    """Load attest.py, which lies beside this file in a bundle."""
    path = HERE / "attest.py"
    if not path.is_file():
        raise CannotRebuild("attest.py is not beside rebuild.py. Unpack a source bundle and run its rebuild.py.")
    spec = importlib.util.spec_from_file_location("attest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
