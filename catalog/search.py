"""Find datasets by what people arrive with: words of a title, an identifier, a DGUID, a DOI or a digest."""

import re

from django.db.models import Exists, OuterRef, Q, QuerySet

from catalog.models import Asset, Dataset, Version

SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_WORDS = 8


def public_datasets() -> "QuerySet[Dataset]":
    """Give the datasets that have a version which the public may see, by package and identifier."""
    shown = Version.objects.filter(dataset=OuterRef("pk")).exclude(state=Version.State.DRAFT)
    found = Dataset.objects.filter(Exists(shown)).select_related("package", "licence")
    return found.order_by("package__priority", "identifier")


def search(query: str) -> "QuerySet[Dataset]":
    """Narrow the public datasets; every word has to be found. An empty query gives all."""
    query = query.strip()
    found = public_datasets()
    if SHA256.fullmatch(query.lower()):
        holding = Asset.objects.filter(sha256=query.lower()).exclude(item__version__state=Version.State.DRAFT)
        return found.filter(pk__in=holding.values("item__version__dataset"))
    for word in query.split()[:MAX_WORDS]:
        found = found.filter(matches(word))
    return found


def matches(word: str) -> Q:
    texts = Q(title_en__icontains=word) | Q(title_fr__icontains=word) | Q(identifier__icontains=word)
    doi = word.lower().removeprefix("https://doi.org/").removeprefix("doi:")
    cited = Version.objects.filter(doi=doi, dataset=OuterRef("pk")).exclude(state=Version.State.DRAFT)
    return texts | Q(dguid=word.upper()) | Q(Exists(cited))
