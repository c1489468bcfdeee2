"""Read a release.toml: one version of one dataset described as a file beside its processing code.

The shape is release-toml.schema.json (JSON Schema 2020-12); what a schema cannot say is checked after it:
the identifier is strict, the number is SemVer without build metadata, paths are safe, keys and paths are
unique, the box and the dates are in order. Every finding is reported at once, never only the first.
"""

import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import rfc8785

from catalog import naming, paths, versions
from catalog.errors import StewardshipError
from catalog.sentences import Sentence
from catalog.sentences import sentence as _
from releases.errors import DefinitionError

SCHEMA_FILE = Path(__file__).with_name("release-toml.schema.json")
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
MAX_BYTES = 1_000_000
LONGITUDE, LATITUDE = 180, 90
IDENTICAL, NOT_REBUILDABLE = "bit-identical", "not-rebuildable"


@dataclass(frozen=True)
class Bilingual:
    en: str
    fr: str


@dataclass(frozen=True)
class LicenceEntry:
    spdx_id: str
    title: Bilingual
    url: str


@dataclass(frozen=True)
class ProviderEntry:
    name: str
    role: str
    url: str


@dataclass(frozen=True)
class DatasetEntry:
    """The dataset as described; `bbox_wgs84` is west, south, east, north."""

    identifier: naming.Identifier
    title: Bilingual
    description: Bilingual
    attribution: Bilingual
    keywords_en: tuple[str, ...]
    keywords_fr: tuple[str, ...]
    licence: LicenceEntry
    doi_provider: str
    bbox_wgs84: tuple[float, float, float, float]
    footprint: str
    starts_on: date
    ends_on: date
    providers: tuple[ProviderEntry, ...]


@dataclass(frozen=True)
class RecipeEntry:
    repository: str
    commit: str
    entry_point: str
    environment: str
    parameters: str  # RFC 8785 JSON


@dataclass(frozen=True)
class SourceEntry:
    name: str
    url: str
    sha256: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True)
class OutputEntry:
    """One promised file; `key_column` names the column by which its rows are known, empty for one to be found."""

    path: str
    key: str
    role: str
    media_type: str
    key_column: str = ""


@dataclass(frozen=True)
class PolicyEntry:
    includes_sources: bool
    includes_environment: bool
    is_confirmed: bool
    unconfirmed_reason: Bilingual
    reproducibility: str
    reproducibility_reason: Bilingual


@dataclass(frozen=True)
class Definition:
    """A whole release.toml, checked; `text` is the file verbatim."""

    text: str
    dataset: DatasetEntry
    number: versions.VersionNumber
    notes: Bilingual
    recipe: RecipeEntry
    sources: tuple[SourceEntry, ...]
    outputs: tuple[OutputEntry, ...]
    policy: PolicyEntry


def read_definition(text: str) -> Definition:
    """Parse and check a release.toml; raises DefinitionError that lists every finding."""
    document = parse(text)
    findings = [*schema_findings(document)] or [*meaning_findings(document)]
    if findings:
        lines = "\n".join(f"- {finding}" for finding in findings)
        summary = _("release.toml: %(count)s to correct, nothing was kept.", count=len(findings))
        raise DefinitionError(f"{summary}\n{lines}", findings=tuple(findings))
    return build(text, document)


def parse(text: str) -> dict[str, Any]:
    if len(text.encode()) > MAX_BYTES:
        raise DefinitionError(_("release.toml: longer than %(most)s bytes. Keep data out of it.", most=MAX_BYTES))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(
            _("release.toml: not valid TOML, %(finding)s. Correct that place and try again.", finding=error)
        ) from error


def schema_findings(
    document: dict[str, Any], validator: jsonschema.Draft202012Validator = VALIDATOR
) -> Iterator[Sentence]:
    plain = json.loads(json.dumps(document, default=str))
    if any("\0" in text for text in texts(plain)):
        yield _("the file: a text in it holds the character U+0000. Remove it.")
    for error in sorted(validator.iter_errors(plain), key=lambda error: error.json_path):
        place = error.json_path.removeprefix("$.").removeprefix("$") or _("the file")
        yield from (at(place, finding) for finding in broken(error))


def at(place: str, finding: str) -> Sentence:
    return _("%(place)s: %(finding)s", place=place, finding=finding)


def broken(error: Any) -> Iterator[Sentence]:
    """Say which rule of the schema a value breaks; each field that nobody knows is a finding of its own."""
    if error.validator == "additionalProperties":
        for name in sorted(set(error.instance) - set(error.schema["properties"])):
            yield _("%(name)s was unexpected. Correct its spelling, or leave it out.", name=repr(name))
        return
    words = {"value": repr(error.instance)[:200], "rule": repr(error.validator_value)[:200]}
    long = _("%(value)s is too long; the most is %(rule)s", **words)
    short = _("%(value)s is too short; the least is %(rule)s", **words)
    known = {
        "required": _("%(name)s is a required property", name=error.message.removesuffix(" is a required property")),
        "type": _("%(value)s is not of type %(rule)s", **words),
        "enum": _("%(value)s is not one of %(rule)s", **words),
        "pattern": _("%(value)s does not match %(rule)s", **words),
        "minimum": _("%(value)s is less than %(rule)s", **words),
        "minLength": short,
        "minItems": short,
        "maxLength": long,
        "maxItems": long,
    }
    yield known.get(error.validator) or _("%(value)s does not fit the rule %(rule)s", **words)


def texts(value: Any) -> Iterator[str]:
    """Give every text in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from texts(one)


def meaning_findings(document: dict[str, Any]) -> Iterator[Sentence]:
    dataset, version = document["dataset"], document["version"]
    yield from attempt("dataset.identifier", lambda: strict_identifier(dataset["identifier"]))
    yield from attempt("version.number", lambda: versions.parse(version["number"]))
    yield from attempt("recipe.entry_point", lambda: paths.check_path(document["recipe"]["entry_point"]))
    yield from attempt("recipe.environment", lambda: paths.check_path(document["recipe"]["environment"]))
    yield from attempt("recipe.parameters", lambda: canonical(document["recipe"].get("parameters", {})))
    yield from attempt("outputs", lambda: paths.check_paths([output["path"] for output in document["outputs"]]))
    yield from repeated("outputs", "key", document["outputs"])
    yield from repeated("sources", "name", document["sources"])
    yield from repeated_providers(dataset["providers"])
    yield from box_findings(dataset["bbox"])
    yield from time_findings(dataset["time"])
    yield from policy_findings(document.get("policy", {}))


def policy_findings(policy: dict[str, Any]) -> Iterator[Sentence]:
    grade = policy.get("reproducibility", IDENTICAL)
    if policy.get("confirm") is False and "unconfirmed_reason" not in policy and grade != NOT_REBUILDABLE:
        yield _(
            "policy.confirm: false without policy.unconfirmed_reason. Say why in both languages; the page shows it."
        )
    if policy.get("confirm") is True and grade == NOT_REBUILDABLE:
        yield _("policy.confirm: true, but policy.reproducibility says that others cannot rebuild it. Leave one out.")
    if grade != IDENTICAL and "reproducibility_reason" not in policy:
        yield _(
            "policy.reproducibility: %(grade)s without policy.reproducibility_reason. "
            "Say why in both languages; the page shows it.",
            grade=grade,
        )


def attempt(place: str, check: Any) -> Iterator[Sentence]:
    try:
        check()
    except StewardshipError as error:
        yield at(place, error.message)


def strict_identifier(text: str) -> naming.Identifier:
    identifier = naming.parse(text)
    if identifier.version is not None:
        raise DefinitionError(
            _("%(name)s ends in a version. Write the version in version.number instead.", name=repr(text))
        )
    return identifier


def canonical(value: Any) -> str:
    """Give RFC 8785 JSON that reads back to itself: 1e17 would come back as a whole number too large for it."""
    try:
        text = rfc8785.dumps(value)
        return rfc8785.dumps(json.loads(text)).decode()
    except rfc8785.CanonicalizationError as error:
        raise DefinitionError(
            _("not expressible as JSON, %(finding)s. Use text, numbers, booleans, lists, tables.", finding=error)
        ) from error


def repeated(place: str, field: str, entries: list[dict[str, Any]]) -> Iterator[Sentence]:
    for value, count in Counter(entry[field] for entry in entries).items():
        if count > 1:
            finding = _(
                "%(field)s %(value)s stands %(count)s times. Give each its own.",
                field=field,
                value=repr(value),
                count=count,
            )
            yield at(place, finding)


def repeated_providers(entries: list[dict[str, Any]]) -> Iterator[Sentence]:
    for (name, role), count in Counter((entry["name"], entry["role"]) for entry in entries).items():
        if count > 1:
            yield _(
                "dataset.providers: %(name)s stands %(count)s times as %(role)s. Name it once in each role.",
                name=repr(name),
                count=count,
                role=role,
            )


def box_findings(box: list[float]) -> Iterator[Sentence]:
    west, south, east, north = box
    if not (abs(west) <= LONGITUDE and abs(east) <= LONGITUDE and -LATITUDE <= south <= north <= LATITUDE):
        yield _(
            "dataset.bbox: %(box)s is no box in degrees. Write west, south, east, north, longitude within ±180.",
            box=box,
        )


def time_findings(time: dict[str, str]) -> Iterator[Sentence]:
    try:
        start, end = (date.fromisoformat(str(time[name])) for name in ("start", "end"))
    except ValueError as error:
        yield _("dataset.time: %(finding)s. Write dates like 2022-05-31.", finding=error)
        return
    if start > end:
        yield _("dataset.time: it ends (%(end)s) before it starts (%(start)s). Exchange them.", end=end, start=start)


def bilingual(entry: dict[str, str] | None) -> Bilingual:
    entry = entry or {"en": "", "fr": ""}
    return Bilingual(en=entry["en"].strip(), fr=entry["fr"].strip())


def build(text: str, document: dict[str, Any]) -> Definition:
    recipe, policy = document["recipe"], document.get("policy", {})
    return Definition(
        text=text,
        dataset=build_dataset(document["dataset"]),
        number=versions.parse(document["version"]["number"]),
        notes=bilingual(document["version"]["notes"]),
        recipe=RecipeEntry(
            repository=recipe["repository"],
            commit=recipe["commit"],
            entry_point=recipe["entry_point"],
            environment=recipe["environment"],
            parameters=canonical(recipe.get("parameters", {})),
        ),
        sources=tuple(SourceEntry(**source) for source in document["sources"]),
        outputs=tuple(OutputEntry(**output) for output in document["outputs"]),
        policy=build_policy(policy),
    )


def build_policy(policy: dict[str, Any]) -> PolicyEntry:
    """Read the policy; what others cannot rebuild is not confirmed either, for the same reason."""
    grade, reason = policy.get("reproducibility", IDENTICAL), policy.get("reproducibility_reason")
    return PolicyEntry(
        includes_sources=policy.get("include_sources", True),
        includes_environment=policy.get("include_environment", True),
        is_confirmed=policy.get("confirm", grade != NOT_REBUILDABLE),
        unconfirmed_reason=bilingual(policy.get("unconfirmed_reason", reason if grade == NOT_REBUILDABLE else None)),
        reproducibility=grade,
        reproducibility_reason=bilingual(reason),
    )


def build_dataset(entry: dict[str, Any]) -> DatasetEntry:
    keywords = entry.get("keywords", {"en": [], "fr": []})
    west, south, east, north = (float(degree) for degree in entry["bbox"])
    licence = entry["licence"]
    return DatasetEntry(
        identifier=naming.parse(entry["identifier"]),
        title=bilingual(entry["title"]),
        description=bilingual(entry["description"]),
        attribution=bilingual(entry["attribution"]),
        keywords_en=tuple(keywords["en"]),
        keywords_fr=tuple(keywords["fr"]),
        licence=LicenceEntry(spdx_id=licence["id"], title=bilingual(licence["title"]), url=licence["url"]),
        doi_provider=entry.get("doi_provider", "test"),
        bbox_wgs84=(west, south, east, north),
        footprint=entry.get("footprint", ""),
        starts_on=date.fromisoformat(str(entry["time"]["start"])),
        ends_on=date.fromisoformat(str(entry["time"]["end"])),
        providers=tuple(ProviderEntry(one["name"], one["role"], one.get("url", "")) for one in entry["providers"]),
    )
