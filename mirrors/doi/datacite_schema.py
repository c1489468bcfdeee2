"""Whether attributes are what DataCite takes, told without asking it.

The schema is that of the `datacite` package, which is 4.5. Version 4.6 (December 2024) only added words to lists and
took nothing away, so that 4.6 is the schema of the package with the words below.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonschema import Draft201909Validator

ADDED_IN_4_6 = {
    "contributorType": ("Translator",),
    "dateType": ("Coverage",),
    "relatedIdentifierType": ("CSTR", "RRID"),
    "relationType": ("HasTranslation", "IsTranslationOf"),
    "resourceTypeGeneral": ("Award", "Project"),
}


def read_schema() -> dict[str, Any]:
    """Read the file of the package, whose code is not run: it would load a client of its own."""
    found = find_spec("datacite")
    folders = found.submodule_search_locations if found else None
    if not folders:
        raise ModuleNotFoundError("datacite is not installed")
    schema: dict[str, Any] = json.loads((Path(folders[0]) / "schemas" / "datacite-v4.5.json").read_bytes())
    for name, words in ADDED_IN_4_6.items():
        schema["definitions"][name]["enum"] += words
    return schema


@cache
def validator() -> Draft201909Validator:
    return Draft201909Validator(read_schema())


def findings(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Give each thing that is wrong with attributes, as `titles/0: … is a required property`."""
    for error in sorted(validator().iter_errors(dict(attributes)), key=lambda one: list(map(str, one.absolute_path))):
        place = "/".join(map(str, error.absolute_path))
        yield f"{place}: {error.message}" if place else error.message
