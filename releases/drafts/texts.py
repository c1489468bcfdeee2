"""The texts that describe a dataset: title, description, attribution and keywords, in English and French.

They are handled as columns (`title_en`, …, `keywords_fr`; keywords one a line), the same in Dataset and in
MetadataRevision, and may say what the table `[dataset]` of a release.toml may say.
"""

from collections.abc import Mapping
from typing import Any

import jsonschema
from django.utils.translation import gettext as _

from catalog.history import sign
from catalog.models import Dataset
from catalog.search import fold_texts
from releases.drafts.definition import VALIDATOR, DatasetEntry, schema_findings
from releases.errors import DefinitionError

LINES = ("title", "description", "attribution")
FIELDS = (*LINES, "keywords")
LANGUAGES = ("en", "fr")
COLUMNS = tuple(f"{field}_{language}" for field in FIELDS for language in LANGUAGES)
Texts = dict[str, str]


def texts_of(row: Any) -> Texts:
    """Read the texts of a Dataset or a MetadataRevision."""
    return {column: getattr(row, column) for column in COLUMNS}


def entry_texts(entry: DatasetEntry) -> Texts:
    """Read the texts of a definition."""
    found = {
        f"{field}_{language}": getattr(getattr(entry, field), language) for field in LINES for language in LANGUAGES
    }
    return found | {"keywords_en": "\n".join(entry.keywords_en), "keywords_fr": "\n".join(entry.keywords_fr)}


def clean_texts(texts: Mapping[str, str]) -> Texts:
    """Give texts without blanks and lines that say nothing; raises DefinitionError that lists every finding."""
    lines = {column: [line.strip() for line in text.splitlines()] for column, text in texts.items()}
    document: dict[str, Any] = {
        field: {one: texts[f"{field}_{one}"].replace("\r\n", "\n") for one in LANGUAGES} for field in LINES
    }
    document["keywords"] = {one: [line for line in lines[f"keywords_{one}"] if line] for one in LANGUAGES}
    return read_texts(document)


def read_texts(document: dict[str, Any]) -> Texts:
    """Read texts from the shape that a release.toml has; what is left out there is left out here.

    Raises DefinitionError that lists every finding.
    """
    findings = tuple(schema_findings(document, text_validator()))
    if findings:
        lines = "\n".join(f"- {finding}" for finding in findings)
        summary = _("Texts: %(count)s to correct, nothing was kept.") % {"count": len(findings)}
        raise DefinitionError(f"{summary}\n{lines}", findings=findings)
    found = {}
    for field, both in document.items():
        for language, value in both.items():
            found[f"{field}_{language}"] = "\n".join(value) if field == "keywords" else value.strip()
    return found


def text_validator() -> jsonschema.Draft202012Validator:
    """Check the texts of a dataset alone, by the schema of release.toml."""
    schema: Any = VALIDATOR.schema
    table = schema["properties"]["dataset"]["properties"]
    return jsonschema.Draft202012Validator(
        {
            "$defs": schema["$defs"],
            "type": "object",
            "additionalProperties": False,
            "properties": {field: table[field] for field in FIELDS},
        }
    )


def write_texts(dataset: Dataset, texts: Mapping[str, str], *, by: Any, reason: str) -> None:
    """Bring a dataset's texts to these and save it, with who and why in its history."""
    for column, text in texts.items():
        setattr(dataset, column, text)
    fold_texts(dataset)
    sign(dataset, by=by, reason=reason)
    dataset.save()
