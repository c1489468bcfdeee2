"""What a Containerfile leaves open is found with its line, and what it pins is not."""

import pytest

from releases.builds.containerfile import ERROR, Base, bases, is_containerfile, lint, parse, worded

A, B = "a" * 64, "b" * 64
BASE = f"FROM debian@sha256:{A}\n"


def found(text: str, scripts: dict[str, str] | None = None) -> list[tuple[int, str, str]]:
    return [(one.line, one.code, one.found) for one in lint(text, scripts)]


@pytest.mark.parametrize("path", ["Containerfile", "Dockerfile", "env/Containerfile"])
def test_a_container_is_known_by_the_name_of_its_file(path: str) -> None:
    assert is_containerfile(path)
    assert not is_containerfile(f"{path}.lock")


def test_lines_comments_and_heredocs_are_read_as_an_engine_does() -> None:
    text = (
        f"# syntax=x\n{BASE}\nRUN one \\\n  # why\n  two && \\\n  three\nrun <<EOF\nfour\nFROM five\nEOF\nCOPY a b\n"
    )
    assert [(one.line, one.name, one.text) for one in parse(text)] == [
        (2, "FROM", f"debian@sha256:{A}"),
        (4, "RUN", "one two && three"),
        (8, "RUN", "<<EOF\nfour\nFROM five"),
        (12, "COPY", "a b"),
    ]


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("FROM debian\n", "debian"),
        ("FROM debian:trixie\n", "debian:trixie"),
        ("FROM debian@sha256:abc\n", "debian@sha256:abc"),
        ("ARG BASE=debian:13\nFROM ${BASE}\n", "debian:13"),
        ("ARG BASE\nFROM $BASE\n", "$BASE"),
        ("FROM --platform=linux/amd64 debian:latest AS made\n", "debian:latest"),
        (BASE + "COPY --from=golang:1.24 /a /a\n", "golang:1.24"),
        (BASE + "RUN --mount=type=bind,from=golang:1.24,target=/g true\n", "golang:1.24"),
    ],
)
def test_an_image_without_a_digest_is_an_error(text: str, image: str) -> None:
    lapses = [one for one in lint(text) if one.severity == ERROR]
    assert [(one.code, one.found) for one in lapses] == [("base-unpinned", image)]
    assert image in worded(lapses[0].code, lapses[0].found, str(lapses[0].line))


@pytest.mark.parametrize(
    "text",
    [
        "FROM scratch\nADD base.tar /\n",
        f"ARG BASE=debian@sha256:{A}\nFROM $BASE\n",
        f"FROM debian@sha256:{A} AS first\nFROM scratch\nCOPY --from=first /a /a\nCOPY --from=0 /b /b\n",
        BASE + "RUN apt-get update && apt-get install --yes --no-install-recommends gdal-bin=3.10.3+dfsg-1\n",
        BASE + "RUN pip install --require-hashes -r requirements.lock\n",
        BASE + "RUN pip install numpy==2.0.0 ./mine && apk add --no-cache curl=8.0-r0\n",
        BASE + f"ADD --checksum=sha256:{B} https://example.org/a.tar.gz /a.tar.gz\n",
        BASE + "RUN curl --output a https://example.org/a && sha256sum --check a.sha256\n",
        BASE + 'ENTRYPOINT ["python3", "build.py"]\n',
    ],
)
def test_what_is_pinned_is_no_finding(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "command",
    [
        "curl https://example.org/install | sh",
        "curl -sSL https://example.org/install | sudo bash -s -- --yes",
        "wget -qO- https://example.org/install | python3",
        "bash <(curl -s https://example.org/install)",
        'sh -c "$(curl -fsSL https://example.org/install)"',
        "curl https://example.org/install \\\n | /bin/sh",
    ],
)
def test_a_script_that_is_run_unread_is_an_error(command: str) -> None:
    assert [(one.code, one.severity) for one in lint(f"{BASE}RUN {command}\n")] == [("piped-script", ERROR)]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("RUN apt-get install -y gdal-bin tippecanoe=2.53.0", "package-unpinned", "gdal-bin"),
        ("RUN apt update; DEBIAN_FRONTEND=noninteractive apt install -t trixie jq", "package-unpinned", "jq"),
        ("RUN apk add --virtual .build gcc", "package-unpinned", "gcc"),
        ("RUN python3 -m pip install 'numpy>=2'", "package-unpinned", "numpy>=2"),
        ("RUN pip install -r requirements.txt", "package-unpinned", "-r requirements.txt"),
        ('RUN ["apt-get", "install", "jq"]', "package-unpinned", "jq"),
        ('RUN ["sh", "-c", "npm install left-pad"]', "package-unpinned", "left-pad"),
        ("RUN apt-get -y upgrade", "upgraded", "apt-get -y upgrade"),
        ("ADD https://example.org/a /a", "added-unchecked", "https://example.org/a"),
        ("CMD curl https://example.org", "network-at-run", "curl"),
        ('ENTRYPOINT ["sh", "-c", "git clone https://example.org/a"]', "network-at-run", "git"),
    ],
)
def test_what_is_left_open_is_a_warning_with_its_line(line: str, code: str, words: str) -> None:
    assert found(f"{BASE}\n{line}\n") == [(3, code, words)]


def test_a_script_that_asks_for_a_network_is_found_by_what_it_calls() -> None:
    scripts = {
        "run.sh": "#!/bin/sh\n# curl is not called\nwget x\n",
        "a.py": "import requests\n",
        "b.py": "import json\n",
    }
    assert found(BASE, scripts) == [
        (0, "network-in-script", "run.sh: wget"),
        (0, "network-in-script", "a.py: requests"),
    ]


def test_without_a_from_there_is_no_image() -> None:
    assert found("RUN true\n") == [(1, "no-base", "FROM")]
    assert "FROM scratch" in worded("no-base", "FROM", "1")


def test_the_base_images_are_given_once_each_with_their_digests() -> None:
    text = f"FROM debian@sha256:{B} AS a\nFROM debian@sha256:{A}\nCOPY --from=debian@sha256:{B} /a /a\n"
    assert bases(text) == [Base("debian", A), Base("debian", B)]


@pytest.mark.parametrize(
    "text", ["", "\\", "RUN <<EOF\nnever ended", 'RUN [1, "', "RUN 'open", "FROM", "ARG\nFROM ${", "\0"]
)
def test_whatever_the_text_is_the_linter_ends(text: str) -> None:
    assert {one.severity for one in lint(text)} <= {"error", "warning"}
