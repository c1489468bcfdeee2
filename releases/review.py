"""What an approval is bound to: the reviewed digest."""

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785
from django.utils.translation import gettext as _

from releases.build import round_of
from releases.definition import Bilingual, Definition, read_definition
from releases.errors import NotSubmittableError
from releases.models import Build, Release

# Which verdicts of a round, build 1 first, keep what a release declares of its reproducibility.
TWICE_ALIKE = [Build.Verdict.FIRST, Build.Verdict.IDENTICAL]
GRADES: Mapping[str, list[list[Build.Verdict]]] = {
    Release.Reproducibility.IDENTICAL: [TWICE_ALIKE],
    Release.Reproducibility.SAME_CONTENT: [TWICE_ALIKE, [Build.Verdict.FIRST, Build.Verdict.SAME_CONTENT]],
    Release.Reproducibility.NOT_REBUILDABLE: [[Build.Verdict.FIRST]],
}


def reviewed_build(release: Release) -> Build:
    """Give build 1 of the newest round; raises NotSubmittableError unless the builds are of the declared grade."""
    builds = round_of(release.pk)
    if [build.verdict for build in builds] not in GRADES[release.reproducibility]:
        raise NotSubmittableError(
            _("%(release)s: it has not been built as alike as it promises. Build it first.") % {"release": release}
        )
    return builds[0]


def reviewed_digest(release: Release) -> str:
    """Compute the sha256 of the RFC 8785 JSON of all that a reviewer decides on.

    {manifest digest, output digests, items, metadata en, metadata fr, policy}. DOI, mirror addresses and
    times are outside it, since they follow from the approval.
    """
    return hashlib.sha256(rfc8785.dumps(reviewed_document(release))).hexdigest()


def reviewed_document(release: Release) -> dict[str, Any]:
    build = reviewed_build(release)
    definition = read_definition(release.definition)
    return {
        "version": str(release.version),
        "manifest": build.manifest.sha256,
        "outputs": {output.path: output.sha256 for output in build.outputs.order_by("path")},
        "declared": [[one.path, one.key, one.role, one.media_type] for one in release.outputs.order_by("path")],
        "items": [
            [item.item_id, bytes(item.footprint_wkb).hex(), item.starts_at.isoformat(), item.ends_at.isoformat()]
            for item in release.version.items.order_by("item_id")
        ],
        "metadata_en": metadata(definition, "en"),
        "metadata_fr": metadata(definition, "fr"),
        "policy": {
            "include_sources": release.includes_sources,
            "include_environment": release.includes_environment,
            "reproducibility": release.reproducibility,
            "reproducibility_reason": [release.reproducibility_reason_en, release.reproducibility_reason_fr],
            "confirm": release.is_confirmed,
            "unconfirmed_reason": [release.unconfirmed_reason_en, release.unconfirmed_reason_fr],
        },
    }


def metadata(definition: Definition, language: str) -> dict[str, Any]:
    """Give the descriptive texts of a definition in one language, with what has none."""
    dataset = definition.dataset

    def text(both: Bilingual) -> str:
        return both.fr if language == "fr" else both.en

    return {
        "title": text(dataset.title),
        "description": text(dataset.description),
        "attribution": text(dataset.attribution),
        "keywords": list(dataset.keywords_fr if language == "fr" else dataset.keywords_en),
        "licence": [dataset.licence.spdx_id, text(dataset.licence.title), dataset.licence.url],
        "providers": [[one.name, one.role, one.url] for one in dataset.providers],
        "bbox": list(dataset.bbox_wgs84),
        "time": [dataset.starts_on.isoformat(), dataset.ends_on.isoformat()],
        "notes": text(definition.notes),
        "doi_provider": dataset.doi_provider,
    }
