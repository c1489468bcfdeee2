"""Findings as sentences: of inspections, of Containerfiles, and of the difference to the version before."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from django.utils.functional import Promise

from catalog.say import say
from releases.builds import containerfile
from releases.builds.inspect import SENTENCES
from releases.diff.judgement import Remark
from releases.models import Finding, Release
from releases.reviews.remarks import FINDINGS, say_remark

FROM_DIFF: Sequence[str] = tuple(FINDINGS)


def sentence(finding: Finding) -> str:
    """Say a finding in the language of the moment."""
    if finding.code in FINDINGS:
        return say_remark(finding.code, finding.place, finding.found, finding.instead)
    if finding.code not in SENTENCES:
        return say(containerfile.worded(finding.code, finding.found, finding.instead))
    words: Mapping[str, str | Promise] = SENTENCES
    return str(words[finding.code]) % {"found": finding.found, "instead": finding.instead}


def findings_of(release: Release, remarks: Sequence[Remark], *, now: datetime) -> Iterator[Finding]:
    """Make rows of what a reviewer has to look at."""
    return (
        Finding(
            release=release,
            file=one.file,
            is_source=False,
            code=one.code,
            severity=one.severity,
            place=one.place[:255],
            found=one.found,
            instead=one.instead,
            at=now,
        )
        for one in remarks
        if one.severity
    )
