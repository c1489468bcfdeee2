"""How a version, or a dataset as a whole, is cited: one sentence, and BibTeX. Pure.

The sentence follows DataCite's recommendation: creator (year). Title (version) [Data set]. Identifier.
"""

import re
from dataclasses import dataclass

PUBLISHER = {"en": "Data for Canada", "fr": "Données pour le Canada"}
KIND = {"en": "Data set", "fr": "Jeu de données"}
TEST_PREFIX = "10.5072"  # for trials: no registry knows a DOI that begins with it
SPECIAL = re.compile(r"([&%$#_{}])")


@dataclass(frozen=True)
class Citation:
    """What a citation names; the creator is who made the version, which are we.

    A dataset as a whole has no `version`; where no DOI of all its versions leads anywhere, the `address` of its page
    stands for it.
    """

    title: str
    version: str
    year: str
    doi: str
    language: str
    address: str = ""

    @property
    def url(self) -> str:
        return f"https://doi.org/{self.doi}" if self.doi else self.address

    @property
    def text(self) -> str:
        publisher, kind = PUBLISHER[self.language], KIND[self.language]
        title = f"{self.title} ({self.version})" if self.version else self.title
        return f"{publisher} ({self.year}). {title} [{kind}]. {self.url}"

    @property
    def bibtex(self) -> str:
        """One @misc entry; braces keep the name of an organisation and the case of the title."""
        fields = {
            "author": f"{{{PUBLISHER[self.language]}}}",
            "title": f"{{{escape(self.title)}}}",
            "year": self.year,
            "version": escape(self.version),
            "publisher": escape(PUBLISHER[self.language]),
            "doi": self.doi,
            "url": self.url,
        }
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
        return f"@misc{{{self.key},\n{lines}}}\n"

    @property
    def key(self) -> str:
        return re.sub(r"[^A-Za-z0-9]+", "-", self.doi.partition("/")[2])


def is_test_doi(doi: str) -> bool:
    """Tell whether a DOI leads nowhere, whoever gave it: a sandbox gives such ones too."""
    return doi.startswith(f"{TEST_PREFIX}/")


def escape(text: str) -> str:
    """Write the characters that BibTeX gives a meaning of their own."""
    return SPECIAL.sub(r"\\\1", text.replace("\\", "\\textbackslash "))
