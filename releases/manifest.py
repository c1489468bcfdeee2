"""Manifests: the locked recipe of a build as canonical JSON (RFC 8785). Its sha256 is its name.

The shape is the `buildDefinition` of SLSA provenance v1, so that standard tools read it. What may not change
without another result is in it; times are not (SOURCE_DATE_EPOCH is the commit's own).
docs/build-type.md explains every field of the two build types: a Python process, and a container.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from catalog.errors import PersonMustActError

BUILD_TYPE = "https://dataforcanada.org/build-types/python-process/v1"
CONTAINER_BUILD_TYPE = "https://dataforcanada.org/build-types/container/v1"
BUILD_TYPES = (BUILD_TYPE, CONTAINER_BUILD_TYPE)
BASE, PACKAGES = "environment-base/", "environment-packages"
FIXED_ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}


class ManifestError(PersonMustActError):
    """A text is not a manifest of ours, or not the one it is said to be."""


@dataclass(frozen=True)
class LockedSource:
    name: str
    uri: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class LockedCode:
    """A git tree at an exact commit; `committed_at` is in seconds since 1970, UTC."""

    repository: str
    commit: str
    tree: str
    committed_at: int


@dataclass(frozen=True)
class LockedEnvironment:
    path: str
    sha256: str
    python: str


@dataclass(frozen=True)
class LockedBase:
    """An image that ours is built upon: its name without digest, and the digest of its manifest."""

    name: str
    sha256: str


@dataclass(frozen=True)
class LockedImage:
    """A container's image: `sha256` is its id, that of its configuration; `platform` such as `linux/amd64`."""

    path: str
    sha256: str
    platform: str
    bases: tuple[LockedBase, ...]
    packages_sha256: str


@dataclass(frozen=True)
class LockedRecipe:
    """All that a build depends on. `parameters` is RFC 8785 JSON, `outputs` the paths that must come out."""

    dataset: str
    version: str
    entry_point: str
    parameters: str
    outputs: tuple[str, ...]
    sources: tuple[LockedSource, ...]
    code: LockedCode
    environment: LockedEnvironment | LockedImage


def lock(recipe: LockedRecipe) -> str:
    """Write a manifest; the order in which sources and outputs are given does not matter."""
    document: dict[str, Any] = {
        "buildType": build_type(recipe),
        "externalParameters": {
            "dataset": recipe.dataset,
            "version": recipe.version,
            "entryPoint": recipe.entry_point,
            "environment": recipe.environment.path,
            "parameters": json.loads(recipe.parameters),
            "outputs": sorted(recipe.outputs),
        },
        "internalParameters": {
            "environment": {**FIXED_ENVIRONMENT, "SOURCE_DATE_EPOCH": str(recipe.code.committed_at)},
            **surroundings(recipe.environment),
        },
        "resolvedDependencies": dependencies(recipe),
    }
    return rfc8785.dumps(document).decode()


def build_type(recipe: LockedRecipe) -> str:
    """Name the build type of a recipe, which its kind of environment decides."""
    return CONTAINER_BUILD_TYPE if isinstance(recipe.environment, LockedImage) else BUILD_TYPE


def surroundings(environment: LockedEnvironment | LockedImage) -> dict[str, str]:
    """Give what the builder says of the environment besides its digest."""
    if isinstance(environment, LockedImage):
        return {"platform": environment.platform}
    return {"python": environment.python}


def dependencies(recipe: LockedRecipe) -> list[dict[str, Any]]:
    """Give the SLSA ResourceDescriptors, sorted by name; digests are lower-case hex."""
    code = {
        "name": "code",
        "uri": f"git+{recipe.code.repository}",
        "digest": {"gitCommit": recipe.code.commit, "gitTree": recipe.code.tree},
    }
    environment = {"name": "environment", "digest": {"sha256": recipe.environment.sha256}}
    sources = (
        {
            "name": f"source/{one.name}",
            "uri": one.uri,
            "digest": {"sha256": one.sha256},
            "annotations": {"size_bytes": one.size_bytes},
        }
        for one in recipe.sources
    )
    return sorted([code, environment, *inside(recipe.environment), *sources], key=lambda one: str(one["name"]))


def inside(environment: LockedEnvironment | LockedImage) -> Iterable[dict[str, Any]]:
    """Give what an image was made from, each by digest; an environment of Python is named by its packages itself."""
    if not isinstance(environment, LockedImage):
        return
    for base in environment.bases:
        yield {
            "name": f"{BASE}{base.name}@sha256:{base.sha256}",
            "uri": f"docker://{base.name}@sha256:{base.sha256}",
            "digest": {"sha256": base.sha256},
        }
    yield {"name": PACKAGES, "digest": {"sha256": environment.packages_sha256}}


def manifest_sha256(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def read(body: str, *, sha256: str | None = None) -> LockedRecipe:
    """Read a manifest back; locking the result gives the same text.

    Raises ManifestError when it has another digest, build type or shape, or is not canonical.
    """
    if sha256 is not None and manifest_sha256(body) != sha256:
        raise ManifestError(
            f"Manifest: its sha256 is {manifest_sha256(body)}, {sha256} was expected. Do not build it."
        )
    document = parse(body)
    try:
        recipe = unlock(document)
        refuse_types(recipe)
        canonical = lock(recipe)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(
            f"Manifest: not of the shape of {document['buildType']} ({error!r}). Do not build it."
        ) from error
    if canonical != body:
        raise ManifestError(
            "Manifest: not canonical JSON (RFC 8785), or with fields that nobody knows. Do not build it."
        )
    return recipe


def parse(body: str) -> dict[str, Any]:
    """Read the JSON of a manifest; raises ManifestError unless it is an object of a build type of ours."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"Manifest: not JSON ({error}). Do not build it.") from error
    found = document.get("buildType") if isinstance(document, dict) else None
    if found not in BUILD_TYPES:
        raise ManifestError(
            f"Manifest: its build type is {str(found)[:200]!r}, only {' and '.join(BUILD_TYPES)} are known. "
            "Do not build it."
        )
    return dict(document)


def refuse_types(recipe: LockedRecipe) -> None:
    """Raise TypeError or ValueError for what canonical JSON would carry back unseen: numbers as text, odd digests."""
    code, environment = recipe.code, recipe.environment
    bases = environment.bases if isinstance(environment, LockedImage) else ()
    texts = [
        recipe.dataset,
        recipe.version,
        recipe.entry_point,
        *recipe.outputs,
        environment.path,
        *surroundings(environment).values(),
        *(base.name for base in bases),
    ]
    texts += [text for one in recipe.sources for text in (one.name, one.uri)]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is missing or is none")
    if not all(type(one.size_bytes) is int and one.size_bytes >= 0 for one in recipe.sources):
        raise TypeError("a size is no number of bytes")
    hexadecimal = [(code.commit, 40), (code.tree, 40), (environment.sha256, 64)]
    hexadecimal += [(base.sha256, 64) for base in bases]
    if isinstance(environment, LockedImage):
        hexadecimal += [(environment.packages_sha256, 64)]
    for digest, length in [*hexadecimal, *((one.sha256, 64) for one in recipe.sources)]:
        if not re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
            raise ValueError(f"{digest!r} is no digest")


def unlock(document: Mapping[str, Any]) -> LockedRecipe:
    external, internal = document["externalParameters"], document["internalParameters"]
    by_name = {one["name"]: one for one in document["resolvedDependencies"]}
    code = by_name["code"]
    return LockedRecipe(
        dataset=external["dataset"],
        version=external["version"],
        entry_point=external["entryPoint"],
        parameters=rfc8785.dumps(external["parameters"]).decode(),
        outputs=tuple(external["outputs"]),
        sources=tuple(sources(by_name.values())),
        code=LockedCode(
            repository=code["uri"].removeprefix("git+"),
            commit=code["digest"]["gitCommit"],
            tree=code["digest"]["gitTree"],
            committed_at=int(internal["environment"]["SOURCE_DATE_EPOCH"]),
        ),
        environment=environment(document, by_name),
    )


def environment(
    document: Mapping[str, Any], by_name: Mapping[str, Mapping[str, Any]]
) -> LockedEnvironment | LockedImage:
    path, internal = document["externalParameters"]["environment"], document["internalParameters"]
    sha256 = by_name["environment"]["digest"]["sha256"]
    if document["buildType"] == BUILD_TYPE:
        return LockedEnvironment(path=path, sha256=sha256, python=internal["python"])
    named = [(name, one) for name, one in by_name.items() if name.startswith(BASE)]
    return LockedImage(
        path=path,
        sha256=sha256,
        platform=internal["platform"],
        bases=tuple(
            LockedBase(name.removeprefix(BASE).rpartition("@sha256:")[0], one["digest"]["sha256"])
            for name, one in named
        ),
        packages_sha256=by_name[PACKAGES]["digest"]["sha256"],
    )


def sources(descriptors: Iterable[Mapping[str, Any]]) -> Iterable[LockedSource]:
    for one in descriptors:
        if one["name"].startswith("source/"):
            yield LockedSource(
                name=one["name"].removeprefix("source/"),
                uri=one["uri"],
                sha256=one["digest"]["sha256"],
                size_bytes=one["annotations"]["size_bytes"],
            )
