"""Validate STAC documents against the real JSON schemas, without a network.

The core schemas come with pystac, those of the extensions lie in `catalog/schemas/` (its README says where from). An
extension without a schema here is an error, never a skip.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pystac
from jsonschema import ValidationError
from pystac.errors import STACValidationError
from pystac.validation import JsonSchemaSTACValidator

from catalog.errors import PersonMustActError

FOLDER = Path(__file__).with_name("schemas")
CORE = "https://schemas.stacspec.org"
# alternate-assets 1.2.0 refers to STAC 1.0.0 here; the later schema asks for the same and more.
BASICS = f"{CORE}/v1.0.0/item-spec/json-schema/basics.json", f"{CORE}/v1.1.0/item-spec/json-schema/basics.json"


class StacInvalidError(PersonMustActError):
    """A document is no valid STAC, or names an extension whose schema is not kept here."""


class OfflineValidator(JsonSchemaSTACValidator):
    """pystac's validator with the schemas that are kept here and no other."""

    def __init__(self) -> None:
        super().__init__()
        for path in sorted(FOLDER.glob("*.json")):
            schema = json.loads(path.read_text(encoding="utf-8"))
            self.schema_cache[schema["$id"].removesuffix("#")] = schema
        self.schema_cache[BASICS[0]] = self.schema_cache[BASICS[1]]

    def _get_schema(self, schema_uri: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.schema_cache.get(schema_uri.removesuffix("#"))
        if found is None:
            raise StacInvalidError(
                f"STAC: no schema of {schema_uri} is kept here. "
                "Put it into catalog/schemas, or leave the extension out."
            )
        return found


@cache
def validator() -> OfflineValidator:
    return OfflineValidator()


def validate(document: dict[str, Any]) -> None:
    """Raise StacInvalidError unless an Item or Collection meets its core schema and each extension it names."""
    kind = pystac.STACObjectType(document["type"])
    try:
        validator().validate(document, kind, document["stac_version"], document["stac_extensions"])
    except STACValidationError as error:
        raise StacInvalidError(
            f"STAC {document.get('id')}: {finding(error)}. Correct the description it is made from."
        ) from error


def finding(error: STACValidationError) -> str:
    """Name the place that is wrong: of all branches of `oneOf`, the error that lies deepest in the document."""
    deepest = max(leaves(error.source or []), key=lambda one: len(one.absolute_path), default=None)
    return f"{deepest.json_path}: {deepest.message[:300]}" if deepest else str(error)[:300]


def leaves(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    for error in errors:
        if error.context:
            yield from leaves(error.context)
        else:
            yield error
