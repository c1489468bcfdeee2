"""A manifest locks all that a build depends on, in one text only, and nothing else passes for one."""

import dataclasses
import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from releases import manifest
from releases.manifest import (
    BUILD_TYPE,
    CONTAINER_BUILD_TYPE,
    LockedBase,
    LockedCode,
    LockedEnvironment,
    LockedImage,
    LockedRecipe,
    LockedSource,
    ManifestError,
)

SOURCES = tuple(LockedSource(name, f"https://u.example.org/{name}", "c" * 64, 12) for name in ("b.csv", "a.csv"))
RECIPE = LockedRecipe(
    dataset="ca_roads",
    version="1.0.0",
    entry_point="build.py",
    parameters='{"format":"csv"}',
    outputs=("roads.csv", "names.csv"),
    sources=SOURCES,
    code=LockedCode("roads", "a" * 40, "b" * 40, 1767322800),
    environment=LockedEnvironment("requirements.lock", "d" * 64, "3.11"),
)
BODY = manifest.lock(RECIPE)
BASES = (LockedBase("debian", "e" * 64), LockedBase("debian", "f" * 64))
IMAGE = LockedImage("Containerfile", "d" * 64, "linux/amd64", BASES, "9" * 64)
IN_IMAGE = dataclasses.replace(RECIPE, environment=IMAGE)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
hexadecimal = {length: st.text("0123456789abcdef", min_size=length, max_size=length) for length in (40, 64)}
json_value = st.recursive(
    st.none() | st.booleans() | text | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
recipes = st.builds(
    LockedRecipe,
    dataset=text,
    version=text,
    entry_point=text,
    parameters=st.dictionaries(text, json_value, max_size=4).map(lambda value: rfc8785.dumps(value).decode()),
    outputs=st.lists(text, max_size=4).map(lambda paths: tuple(sorted(paths))),
    sources=st.lists(
        st.builds(LockedSource, text, text, hexadecimal[64], st.integers(0, 2**53 - 1)),
        unique_by=lambda one: one.name,
        max_size=4,
    ).map(lambda found: tuple(sorted(found, key=lambda one: one.name))),
    code=st.builds(LockedCode, text, hexadecimal[40], hexadecimal[40], st.integers(0, 2**40)),
    environment=st.builds(LockedEnvironment, text, hexadecimal[64], text)
    | st.builds(
        LockedImage,
        text,
        hexadecimal[64],
        text,
        st.lists(st.builds(LockedBase, text, hexadecimal[64]), unique=True, max_size=3).map(
            lambda found: tuple(sorted(found, key=lambda one: f"{one.name}@sha256:{one.sha256}"))
        ),
        hexadecimal[64],
    ),
)


def changed(**fields: Any) -> str:
    """Give the manifest with parts replaced, canonical again."""
    return rfc8785.dumps({**json.loads(BODY), **fields}).decode()


def with_source(**fields: Any) -> str:
    document = json.loads(BODY)
    document["resolvedDependencies"][-1] |= fields
    return rfc8785.dumps(document).decode()


@given(recipes)
def test_what_was_locked_is_read_back_and_locks_to_the_same_text(recipe: LockedRecipe) -> None:
    body = manifest.lock(recipe)
    assert manifest.read(body, sha256=manifest.manifest_sha256(body)) == recipe
    assert rfc8785.dumps(json.loads(body)).decode() == body


@given(recipes, st.randoms(use_true_random=False))
def test_the_order_of_sources_and_outputs_does_not_matter(recipe: LockedRecipe, shuffler: random.Random) -> None:
    sources, outputs = list(recipe.sources), list(recipe.outputs)
    shuffler.shuffle(sources)
    shuffler.shuffle(outputs)
    shuffled = dataclasses.replace(recipe, sources=tuple(sources), outputs=tuple(outputs))
    assert manifest.lock(shuffled) == manifest.lock(recipe)


def test_its_name_is_the_sha256_of_its_bytes() -> None:
    assert manifest.manifest_sha256(BODY) == hashlib.sha256(BODY.encode()).hexdigest()


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("entry_point", "other.py"),
        ("parameters", "{}"),
        ("outputs", ("roads.csv",)),
        ("sources", SOURCES[:1]),
        ("code", LockedCode("roads", "a" * 40, "b" * 40, 1767322801)),
        ("environment", LockedEnvironment("requirements.lock", "d" * 64, "3.12")),
    ],
)
def test_whatever_can_change_the_result_changes_the_name(field: str, other: Any) -> None:
    assert manifest.lock(dataclasses.replace(RECIPE, **{field: other})) != BODY


def test_it_has_the_shape_of_a_slsa_build_definition() -> None:
    document = json.loads(BODY)
    assert set(document) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert document["buildType"] == BUILD_TYPE
    for dependency in document["resolvedDependencies"]:
        assert set(dependency) <= {"name", "uri", "digest", "annotations"}
        assert all(re.fullmatch(r"[0-9a-f]{40,64}", value) for value in dependency["digest"].values())
    names = [one["name"] for one in document["resolvedDependencies"]]
    assert names == ["code", "environment", "source/a.csv", "source/b.csv"]


def test_it_holds_no_time_but_that_of_the_commit() -> None:
    document = json.loads(BODY)
    environment = document["internalParameters"]["environment"]
    assert environment == {
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(RECIPE.code.committed_at),
        "TZ": "UTC",
    }
    assert not re.search(r"\d{4}-\d\d-\d\d|[Tt]imestamp|_at\"", BODY)
    assert manifest.lock(RECIPE) == BODY


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(IMAGE, sha256="c" * 64),
        dataclasses.replace(IMAGE, platform="linux/arm64"),
        dataclasses.replace(IMAGE, bases=BASES[:1]),
        dataclasses.replace(IMAGE, packages_sha256="8" * 64),
    ],
)
def test_whatever_an_image_is_made_of_changes_the_name(other: LockedImage) -> None:
    assert manifest.lock(dataclasses.replace(IN_IMAGE, environment=other)) != manifest.lock(IN_IMAGE)


@pytest.mark.parametrize(
    "broken",
    [
        dataclasses.replace(IMAGE, sha256="latest"),
        dataclasses.replace(IMAGE, packages_sha256="none"),
        dataclasses.replace(IMAGE, bases=(LockedBase("debian", "trixie"),)),
    ],
)
def test_an_image_without_a_digest_is_no_manifest(broken: LockedImage) -> None:
    with pytest.raises(ManifestError, match="is no digest"):
        manifest.read(manifest.lock(dataclasses.replace(IN_IMAGE, environment=broken)))


@pytest.mark.parametrize("recipe", [RECIPE, IN_IMAGE], ids=["process", "container"])
def test_every_field_is_explained_in_the_page_of_the_build_type(recipe: LockedRecipe) -> None:
    page, document = Path("docs/build-type.md").read_text(encoding="utf-8"), json.loads(manifest.lock(recipe))
    names = {
        BUILD_TYPE,
        CONTAINER_BUILD_TYPE,
        *document,
        *document["externalParameters"],
        *document["internalParameters"],
    }
    names |= {f"environment.{name}" for name in document["internalParameters"]["environment"]}
    names |= {name for one in document["resolvedDependencies"] for name in (*one, *one["digest"], "size_bytes")}
    names |= {one["name"] for one in document["resolvedDependencies"] if one["name"] == manifest.PACKAGES}
    assert [name for name in sorted(names - {"buildType"}) if f"`{name}`" not in page] == []


def test_another_digest_is_refused() -> None:
    with pytest.raises(ManifestError, match=f"{'0' * 64} was expected. Do not build it"):
        manifest.read(BODY, sha256="0" * 64)


@pytest.mark.parametrize("other", ["https://slsa-framework.github.io/other", None, 5, [BUILD_TYPE]])
def test_another_build_type_is_refused(other: Any) -> None:
    with pytest.raises(ManifestError, match="its build type is"):
        manifest.read(changed(buildType=other))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(json.loads(BODY)),
        json.dumps(json.loads(BODY), indent=2),
        BODY + "\n",
        BODY.replace('{"buildType"', f'{{"buildType":"{BUILD_TYPE}","buildType"'),
        BODY.replace("csv", "\\u0063sv", 1),
        changed(extra=1),
        changed(externalParameters={**json.loads(BODY)["externalParameters"], "extra": 1}),
        with_source(downloadLocation="https://example.org"),
        changed(resolvedDependencies=list(reversed(json.loads(BODY)["resolvedDependencies"]))),
        changed(resolvedDependencies=[*json.loads(BODY)["resolvedDependencies"]] * 2),
    ],
    ids=["spaces", "indented", "newline", "twice", "escape", "field", "parameter", "source", "order", "repeated"],
)
def test_what_is_not_canonical_or_has_unknown_fields_is_refused(body: str) -> None:
    with pytest.raises(ManifestError, match="not canonical JSON"):
        manifest.read(body)


@pytest.mark.parametrize(
    "body",
    [
        changed(resolvedDependencies=[]),
        changed(externalParameters={}),
        changed(internalParameters=None),
        with_source(annotations={"size_bytes": "12"}),
        with_source(annotations={"size_bytes": True}),
        with_source(annotations={"size_bytes": -1}),
        with_source(digest={"sha256": "C" * 64}),
        with_source(digest={"sha256": "../secret"}),
        with_source(uri=None),
        BODY.replace('"1767322800"', '"soon"'),
        BODY.replace('"version":"1.0.0"', '"version":1'),
        BODY.replace(f'"gitTree":"{"b" * 40}"', '"gitTree":"main"'),
    ],
)
def test_what_has_another_shape_is_refused(body: str) -> None:
    assert body != BODY
    with pytest.raises(ManifestError, match="not of the shape"):
        manifest.read(body)


@pytest.mark.parametrize("body", ["", "{", "NaN,", "[" * 100_000, '{"a": 1} {}'])
def test_what_is_no_json_is_refused(body: str) -> None:
    with pytest.raises(ManifestError, match="not JSON"):
        manifest.read(body)


@given(st.integers(0, len(BODY) - 1), st.characters(exclude_categories=["Cs"]))
def test_one_changed_character_is_never_read_as_the_same_manifest(position: int, character: str) -> None:
    body = BODY[:position] + character + BODY[position + 1 :]
    if body == BODY:
        return
    with pytest.raises(ManifestError):
        manifest.read(body, sha256=manifest.manifest_sha256(BODY))


@given(json_value)
def test_no_json_at_all_makes_it_crash(value: Any) -> None:
    with pytest.raises(ManifestError):
        manifest.read(json.dumps(value))
