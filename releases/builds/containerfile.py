"""Read a Containerfile and say what in it keeps others from making the same image, or makes it unsafe.

Rules (Dockerfile reference: instructions, line continuation, heredocs, ARG before FROM, names of stages):
1. Every image that is built upon or copied from is `scratch`, an earlier stage, or names its digest: else an error.
2. What is fetched is not run unread: `curl … | sh` and its kin are an error.
3. Packages are installed in a version, what ADD fetches has a checksum, nothing is upgraded: else a warning.
4. What runs later does not ask for a network, which a build does not have: else a warning.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from catalog.sentences import Sentence
from catalog.sentences import sentence as _

NAMES = ("Containerfile", "Dockerfile")
ERROR, WARNING = "error", "warning"
DIGEST = re.compile(r"^(?P<name>[^@\s]+)@sha256:(?P<sha256>[0-9a-f]{64})$")
HEREDOC = re.compile(r"<<-?([\"']?)([A-Za-z_][A-Za-z0-9_]*)\1")
VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?::?-(?P<default>[^}]*))?\}|(?P<plain>[A-Za-z_]\w*))")
SEPARATORS = ("&&", "||", ";", "&", "|", "\n")
FETCHERS = {"curl", "wget", "aria2c"}
SHELLS = {"sh", "bash", "dash", "zsh", "ash", "python", "python3", "perl", "ruby", "node"}
WRAPPERS = {"sudo", "env", "exec", "time", "nice"}
NETWORKED = FETCHERS | {"apt", "apt-get", "apk", "dnf", "yum", "pip", "pip3", "git", "npm", "rsync", "ssh", "scp"}
NETWORK_IN_PYTHON = re.compile(
    r"^\s*(?:import|from)\s+(urllib\.request|requests|httpx|urllib3|socket|ftplib)\b", re.MULTILINE
)
INSTALLERS = {
    "apt": ("install",),
    "apt-get": ("install",),
    "apk": ("add",),
    "pip": ("install",),
    "pip3": ("install",),
    "dnf": ("install",),
    "yum": ("install",),
    "npm": ("install",),
}
UPGRADES = {"upgrade", "dist-upgrade", "full-upgrade"}
WITH_VALUE = {
    *("-t", "--target-release", "-o", "--option", "-c", "--virtual", "--repository", "-X", "-i", "--index-url"),
    *("--extra-index-url", "-f", "--find-links", "--target", "--prefix", "--root", "--python"),
}
PINS = {"apt": "=", "apt-get": "=", "apk": "=", "pip": "==", "pip3": "==", "dnf": "-", "yum": "-", "npm": "@"}


@dataclass(frozen=True)
class Instruction:
    """One instruction: its first line's number, its name in upper case, and its words in one text, heredocs after."""

    line: int
    name: str
    text: str


@dataclass(frozen=True)
class Lapse:
    """What is wrong at one line, 0 for a script; `found` are the words it is about. `worded` says it."""

    line: int
    code: str
    severity: str
    found: str


@dataclass(frozen=True)
class Base:
    """An image that is built upon: its name without the digest, and the digest of its manifest."""

    name: str
    sha256: str


def is_containerfile(path: str) -> bool:
    """Tell whether the environment at that path is a container, by the name of its file."""
    return PurePosixPath(path).name in NAMES


def lint(text: str, scripts: Mapping[str, str] | None = None) -> list[Lapse]:
    """Give what is wrong, by line; `scripts` are the texts, by path, of what is called in the finished image."""
    instructions = list(parse(text))
    found = [
        *base_lapses(instructions),
        *(lapse for one in instructions for lapse in instruction_lapses(one)),
        *(lapse for path, script in (scripts or {}).items() for lapse in script_lapses(path, script)),
    ]
    return sorted(found, key=lambda lapse: lapse.line)


def worded(code: str, found: str, line: str) -> Sentence:
    """Say a lapse in a sentence with what to do."""
    facts = {"found": found, "line": line}
    sentences = {
        "no-base": _("It has no FROM. Write FROM with an image and its digest, or FROM scratch."),
        "base-unpinned": _(
            "Line %(line)s: the image %(found)s has no digest, so that others get another one. "
            "Write name@sha256:… with the 64 digits that the engine shows for it.",
            **facts,
        ),
        "piped-script": _(
            "Line %(line)s: %(found)s runs what was fetched, unread. "
            "Fetch it with ADD --checksum=sha256:…, or put it beside the code.",
            **facts,
        ),
        "package-unpinned": _("Line %(line)s: the package %(found)s is installed in no certain version.", **facts),
        "added-unchecked": _("Line %(line)s: %(found)s is fetched without --checksum=sha256:….", **facts),
        "upgraded": _("Line %(line)s: %(found)s installs whatever is newest on that day.", **facts),
        "network-at-run": _("Line %(line)s: %(found)s asks for a network, which a build does not have.", **facts),
        "network-in-script": _("%(found)s asks for a network, which a build does not have.", **facts),
    }
    return sentences[code]


def bases(text: str) -> list[Base]:
    """Give the images with a digest that a Containerfile names, each once, by name."""
    found = (DIGEST.match(image) for _line, image in images(list(parse(text))))
    return sorted(
        {Base(one["name"], one["sha256"]) for one in found if one}, key=lambda base: (base.name, base.sha256)
    )


def parse(text: str) -> Iterator[Instruction]:
    r"""Give the instructions; comments, empty lines and `\` at a line's end are seen through."""
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = continued(line, lines)
        name, _, rest = words.strip().partition(" ")
        body = [rest.strip(), *heredocs(rest, lines)]
        yield Instruction(number, name.upper(), "\n".join(part for part in body if part))


def continued(line: str, lines: Iterator[tuple[int, str]]) -> str:
    words = line.rstrip()
    while words.endswith("\\"):
        following = next((one for _number, one in lines if not one.lstrip().startswith("#")), "")
        words = f"{words[:-1].rstrip()} {following.strip()}"
    return words


def heredocs(words: str, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    """Give the text of each heredoc that a line opens, `COPY <<EOF` too."""
    for _quote, end in HEREDOC.findall(words):
        body = []
        for _number, line in lines:
            if line.strip() == end:
                break
            body.append(line)
        yield "\n".join(body)


def images(instructions: Sequence[Instruction]) -> Iterator[tuple[int, str]]:
    """Give each image from outside, with its line: of FROM and of `--from`; variables are put in."""
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    count = 0
    for one in instructions:
        if one.name == "ARG" and count == 0:
            name, _, default = one.text.partition("=")
            arguments[name.strip()] = default.strip().strip("\"'")
        elif one.name == "FROM":
            words = [word for word in one.text.split() if not word.startswith("--")]
            image = filled(words[0], arguments) if words else ""
            if image != "scratch" and image.lower() not in stages:
                yield one.line, image
            stages |= {str(count), *([words[2].lower()] if len(words) > 2 else [])}  # noqa: PLR2004  FROM image AS name
            count += 1
        elif one.name in {"COPY", "RUN", "ADD"}:
            named = re.findall(r"(?:--|,)from=([^\s,]+)", one.text.partition("\n")[0])
            yield from ((one.line, image) for image in named if image.lower() not in stages)


def filled(word: str, arguments: Mapping[str, str]) -> str:
    """Put the defaults of ARG into a word; a variable without one stays, and so is no digest."""

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        return arguments.get(name) or match["default"] or match[0]

    return VARIABLE.sub(value, word)


def base_lapses(instructions: Sequence[Instruction]) -> Iterator[Lapse]:
    if not any(one.name == "FROM" for one in instructions):
        yield Lapse(1, "no-base", ERROR, "FROM")
    for line, image in images(instructions):
        if not DIGEST.match(image):
            yield Lapse(line, "base-unpinned", ERROR, image)


def instruction_lapses(one: Instruction) -> Iterator[Lapse]:
    if one.name == "RUN":
        yield from run_lapses(one)
    elif one.name == "ADD":
        yield from add_lapses(one)
    elif one.name in {"CMD", "ENTRYPOINT"}:
        asking = [word for command in commands(one.text) for word in networked(command)]
        yield from (Lapse(one.line, "network-at-run", WARNING, word) for word in asking)


def add_lapses(one: Instruction) -> Iterator[Lapse]:
    has_checksum = re.search(r"--checksum=sha256:[0-9a-f]{64}", one.text)
    for word in one.text.split():
        if re.match(r"(https?|ftp|git)://|git@", word) and not has_checksum:
            yield Lapse(one.line, "added-unchecked", WARNING, word)


def run_lapses(one: Instruction) -> Iterator[Lapse]:
    if piped := piped_script(one.text):
        yield Lapse(one.line, "piped-script", ERROR, piped)
    for command in commands(one.text):
        yield from (Lapse(one.line, "package-unpinned", WARNING, name) for name in unpinned(command))
        if command[:1] and PurePosixPath(command[0]).name in INSTALLERS and UPGRADES & set(command[1:]):
            yield Lapse(one.line, "upgraded", WARNING, " ".join(command[:3]))


def commands(text: str) -> Iterator[list[str]]:
    """Give the words of each simple command of a RUN, CMD or ENTRYPOINT, in shell form or as a JSON list."""
    plain = re.sub(r"^(--\S+\s+)+", "", text.strip())
    if plain.startswith("["):
        try:
            words = [str(word) for word in json.loads(plain.partition("\n")[0])]
        except ValueError:
            words = []
        is_shell = len(words) == 3 and words[1].startswith("-") and "c" in words[1]  # noqa: PLR2004  sh -c "…"
        yield from commands(words[2]) if is_shell else filter(None, [words])
        return
    for piece in pieces(plain):
        words = [word for word in piece if word not in WRAPPERS and not re.match(r"[A-Za-z_]\w*=", word)]
        if words:
            yield words


def pieces(text: str) -> Iterator[list[str]]:
    """Cut shell text at what separates commands; text that no shell would take gives its words as they stand."""
    lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        words = text.split()
    piece: list[str] = []
    for word in words:
        if word.strip(";&|()") == "":
            yield piece
            piece = []
        else:
            piece.append(word)
    yield piece


def piped_script(text: str) -> str:
    """Give the words of a fetched script that a shell runs unread; empty if there is none."""
    fetch, shells = "|".join(FETCHERS), "|".join(SHELLS)
    piped = re.search(rf"\b(?:{fetch})\b[^;&\n]*?\|\s*(?:sudo\s+)?(?:\S*/)?(?:{shells})\b", text)
    substituted = re.search(rf"\b(?:{shells}|eval|source)\b[^;&|\n]*(?:<\(|\$\(|`)\s*(?:{fetch})\b[^)`\n]*", text)
    found = piped or substituted
    return " ".join(found[0].split())[:200] if found else ""


def unpinned(command: Sequence[str]) -> Iterator[str]:
    """Give the packages that a command installs in no certain version."""
    program, rest = PurePosixPath(command[0]).name, list(command[1:])
    if program in {"python", "python3"} and rest[:2] == ["-m", "pip"]:
        program, rest = "pip", rest[2:]
    verbs = INSTALLERS.get(program, ())
    verb = next((place for place, word in enumerate(rest) if word in verbs), None)
    if verb is None or "--require-hashes" in rest or (program == "npm" and rest[verb + 1 :] == []):
        return
    for name in packages(rest[verb + 1 :]):
        if PINS[program] not in name[1:] and not name.startswith((".", "/", "$")):
            yield name


def packages(words: Sequence[str]) -> Iterator[str]:
    """Give the words that are names of packages; a file of requirements counts as one."""
    rest = iter(words)
    for word in rest:
        if word in {"-r", "--requirement"}:
            yield f"-r {next(rest, '')}"
        elif word in WITH_VALUE:
            next(rest, "")
        elif not word.startswith(("-", "<", ">")):
            yield word


def networked(command: Sequence[str]) -> list[str]:
    return [PurePosixPath(command[0]).name] if command and PurePosixPath(command[0]).name in NETWORKED else []


def script_lapses(path: str, script: str) -> Iterator[Lapse]:
    """Look for what asks for a network in a script that runs in the image; `found` names the script too."""
    if path.endswith(".py"):
        asking = sorted(set(NETWORK_IN_PYTHON.findall(script)))
    else:
        lines = "\n".join(line for line in script.splitlines() if not line.lstrip().startswith("#"))
        asking = sorted({word for command in commands(lines) for word in networked(command)})
    yield from (Lapse(0, "network-in-script", WARNING, f"{path}: {word}") for word in asking)
