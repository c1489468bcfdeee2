#!/usr/bin/env python3
"""Rebuild what this bundle describes, and compare every byte with what was published.

    python3 rebuild.py [--sources DIR] [--wheels DIR] [--image FILE] [--attest KEYFILE] --out DIR
    python3 rebuild.py --bundle URL [--bundle URL ...] --sha256 HEX ... --out DIR    # alone, without the bundle
    python3 rebuild.py keygen KEYFILE

Needs Python, and podman or docker where manifest.json says that it was built in a container; nothing else.
Exit code 0: every file is identical. 1: built, but something differs. 2: it could not be built, and one sentence
says why.
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
CONTAINER = "https://dataforcanada.org/build-types/container/v1"
ENGINE_FAILED = (125, 126)
NOBODY = 65534
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
CONFINED = ["--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
TMP = {"HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108  inside the container


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
    parser.add_argument("--image", type=Path, help="the container image, as the archive that environment.json names")
    parser.add_argument("--engine", default="", help="podman or docker; whichever is installed unless you say")
    parser.add_argument("--runtime", default="", help="the engine's runtime, such as runc; its own unless you say")
    parser.add_argument("--name", default=f"rebuild-{os.getpid()}", help="what the container is called while it runs")
    parser.add_argument("--out", type=Path, required=True, help="empty folder for the result")
    parser.add_argument("--attest", type=Path, metavar="KEYFILE", help="sign what came out; see rebuild.py keygen")
    return parser.parse_args(words)


def rebuild(arguments):
    """Run the recipe; gives the digests of the files that came out, by path."""
    manifest = read_json("manifest.json")
    is_container = manifest["buildType"] == CONTAINER
    if not is_container:
        check_python(manifest["internalParameters"]["python"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    if any(arguments.out.iterdir()):
        raise CannotRebuild(f"{arguments.out} is not empty. Name an empty folder.")
    with tempfile.TemporaryDirectory(prefix="rebuild-") as scratch:
        sources = gather(Path(scratch) / "sources", arguments.sources)
        if is_container:
            run_container(Engine(arguments), manifest, sources, Path(scratch), arguments.out.resolve())
        else:
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
    check_parameters(external)
    code = scratch / "code"
    shutil.copytree(HERE / "code", code, symlinks=True)
    parameters = scratch / "parameters.json"
    shutil.copyfile(HERE / "parameters.json", parameters)
    command = [python, external["entryPoint"], "--sources", sources, "--out", out, "--parameters", parameters]
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(scratch), **internal["environment"]}
    done = subprocess.run([str(word) for word in command], cwd=code, env=environment)
    if done.returncode != 0:
        raise RecipeFailed(f"the recipe ended with exit code {done.returncode}.")


def check_parameters(external):
    if read_json("parameters.json") != external["parameters"]:
        raise CannotRebuild("parameters.json is not what manifest.json locks. Get the bundle again.")


class Engine:
    """podman or docker, whichever is installed, with the first runtime that works."""

    def __init__(self, arguments):
        programs = [arguments.engine] if arguments.engine else ["podman", "docker"]
        self.program = next(filter(None, map(shutil.which, programs)), None)
        if self.program is None:
            raise CannotRebuild(f"{' or '.join(programs)} is not installed. On Debian: apt install podman.")
        self.is_podman = "podman" in Path(self.program).name
        self.offered, self.name = arguments.image, arguments.name
        self.runtimes = [arguments.runtime] if arguments.runtime else ["", *filter(shutil.which, ["runc", "crun"])]

    def ask(self, *words):
        return subprocess.run([self.program, *words], capture_output=True, text=True, errors="replace")

    def attempt(self, act, words, scratch):
        """Run a command of the engine with one runtime after the other until it begins; gives its exit code."""
        code = ENGINE_FAILED[0]
        for runtime in self.runtimes:
            chosen = ["--runtime", runtime] if runtime else []
            begin = [self.program, *chosen, act] if self.is_podman else [self.program, act, *chosen]
            code = subprocess.run([*begin, *words], cwd=scratch).returncode
            if code not in ENGINE_FAILED:
                break
        return code

    def has(self, image):
        done = self.ask("image", "inspect", "--format", "{{.Id}}", image)
        return done.returncode == 0 and done.stdout.strip().removeprefix("sha256:") == image


def find_image(engine, manifest, scratch):
    """Give the id of the image that the manifest locks, from here or its archive; else of one that is made anew."""
    locked = next(one for one in manifest["resolvedDependencies"] if one["name"] == "environment")
    wanted, findings = locked["digest"]["sha256"], []
    if engine.has(wanted):
        return wanted
    for path in archives(read_json("environment.json"), engine.offered, scratch, findings):
        done = engine.ask("load", "--input", str(path))
        if done.returncode == 0 and engine.has(wanted):
            return wanted
        findings.append(f"{path} did not give it ({' '.join(done.stderr.split())[-200:]})")
    print(f"NOTE: image {wanted} is not to be had: {'; '.join(findings) or 'it has no place'}.", file=sys.stderr)
    return make_image(engine, manifest, scratch)


def archives(archive, offered, scratch, findings):
    """Give the archive of the image where it has the right bytes: the offered one, then from its places."""
    if offered is not None:
        if offered.is_file() and sha256_of(offered) == archive["sha256"]:
            yield offered
        else:
            findings.append(f"{offered} is not there or has other bytes")
    if fetch(archive, scratch / "image.tar", findings):
        yield scratch / "image.tar"


def make_image(engine, manifest, scratch):
    """Make the image from its Containerfile, which may give another one; gives its id."""
    print("NOTE: it is made anew from environment/Containerfile, so its id may differ.", file=sys.stderr)
    epoch = manifest["internalParameters"]["environment"]["SOURCE_DATE_EPOCH"]
    identity = scratch / "image-id"
    words = ["--file", str(HERE / "environment" / "Containerfile"), "--iidfile", str(identity)]
    own = ["--format", "docker", "--timestamp", epoch, *LIMITS] if engine.is_podman else []
    if engine.attempt("build", [*own, *words, str(HERE / "code")], scratch) != 0:
        sha256 = read_json("environment.json")["sha256"]
        raise CannotRebuild(f"the image could not be made. Name its archive, with sha256 {sha256}, with --image.")
    return identity.read_text(encoding="ascii").strip().removeprefix("sha256:")


def run_container(engine, manifest, sources, scratch, out):
    """Call the recipe in its image as it was called for the published build; exit code and places are the same."""
    external, internal = manifest["externalParameters"], manifest["internalParameters"]
    check_parameters(external)
    image, entry = find_image(engine, manifest, scratch), external["entryPoint"]
    mounts = lay_out(sources, scratch, out)
    command = ["python3", entry] if entry.endswith(".py") else [f"/code/{entry}"]
    command += ["--sources", "/in/sources", "--out", "/out", "--parameters", "/in/parameters.json"]
    variables = {**TMP, **internal["environment"]}
    words = ["--rm", "--pull", "never", "--name", engine.name, "--hostname", "build", "--workdir", "/code"]
    words += ["--user", f"{os.getuid() or NOBODY}:{os.getgid() or NOBODY}", *CONFINED, *LIMITS]
    if engine.is_podman:
        words += ["--http-proxy=false", "--read-only-tmpfs=false", *(["--userns", "keep-id"] if os.getuid() else [])]
    words += [word for mount in mounts for word in ("--volume", mount)]
    words += [word for name, text in variables.items() for word in ("--env", f"{name}={text}")]
    engine.ask("rm", "--force", engine.name)
    code = engine.attempt("run", [*words, "--entrypoint", command[0], image, *command[1:]], scratch)
    if code != 0:
        raise RecipeFailed(f"the recipe ended with exit code {code}.")


def lay_out(sources, scratch, out):
    """Put what the container reads and writes into folders; gives where each is inside."""
    inputs, code, tmp, shared = (scratch / name for name in ("in", "code", "tmp", "shm"))
    for folder in (inputs, tmp, shared):
        folder.mkdir()
    sources.rename(inputs / "sources")
    shutil.copyfile(HERE / "parameters.json", inputs / "parameters.json")
    shutil.copytree(HERE / "code", code, symlinks=True)
    if os.getuid() == 0:
        for folder in (out, tmp, shared):
            os.chown(folder, NOBODY, NOBODY)
    return [f"{code}:/code:ro", f"{inputs}:/in:ro", f"{out}:/out", f"{tmp}:/tmp", f"{shared}:/dev/shm"]


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
