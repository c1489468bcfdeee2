"""What a check of an identifier says: findings with stable codes, and the refusal that carries them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from catalog.errors import PersonMustActError
from catalog.sentences import Sentence


class Code(StrEnum):
    """Stable names of findings; stored with legacy datasets and used to look up translations."""

    # Unsafe as a path, an address or a torrent's name.
    EMPTY = "empty"
    TOO_LONG = "too-long"
    CONTROL = "control-character"
    WHITESPACE = "whitespace"
    SEPARATOR = "path-separator"
    BUILD_METADATA = "build-metadata"
    NON_ASCII = "non-ascii"
    CHARACTER = "character"
    DOTS = "dots"
    EDGE = "edge"
    DEVICE = "device-name"
    LATEST = "version-latest"
    # Against the convention.
    UPPER_CASE = "upper-case"
    WORD_SHAPE = "word-shape"
    PART_TOO_LONG = "part-too-long"
    EMPTY_SEGMENT = "empty-segment"
    FILE_EXTENSION = "file-extension"
    REGION_SHAPE = "region-shape"
    REGION_UNKNOWN = "region-unknown"
    REGION_UNDERSCORE = "region-underscore"
    SOURCE_MISSING = "source-missing"
    SOURCE_UNDERSCORE = "source-underscore"
    DGUID_MISSING = "dguid-missing"
    DGUID_UNDERSCORE = "dguid-underscore"
    DGUID_SHAPE = "dguid-shape"
    DGUID_LETTER = "dguid-lower-case"
    DGUID_CODE = "dguid-code-length"
    PACKAGE_MISSING = "package-missing"
    PACKAGE_PREFIX = "package-prefix"
    PACKAGE_UNKNOWN = "package-unknown"
    THEME_BEFORE_DATE = "theme-before-date"
    VINTAGE_MISSING = "vintage-missing"
    VINTAGE_INVALID = "vintage-invalid"
    VINTAGE_TAIL = "vintage-tail"
    DOWNLOAD_DATE = "download-date"
    VARIANT_MISSING = "variant-missing"
    VARIANT_UNDERSCORE = "variant-underscore"
    VARIANT_DATE = "variant-date"
    VARIANT_VERSION = "variant-version"
    PROJECTION = "projection"
    VERSION_INVALID = "version-invalid"
    VERSION_PLACE = "version-place"
    ROUND_TRIP = "round-trip"
    # Worth a look, and allowed.
    SUBDIVISION_UNCHECKED = "subdivision-unchecked"
    DGUID_SCHEMA_UNKNOWN = "dguid-schema-unknown"
    DGUID_TYPE = "dguid-type"
    DGUID_REGION = "dguid-region"


@dataclass(frozen=True)
class Finding:
    """One observation: what was found with the remedy, and the facts of it.

    A finding that does not break the convention (`breaks` is false) leaves an identifier strict.
    """

    code: Code
    message: Sentence
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    breaks: bool = True


class IdentifierError(PersonMustActError):
    """An identifier breaks the convention; facts: `identifier`, `findings`, `suggestion` (None if there is none)."""
