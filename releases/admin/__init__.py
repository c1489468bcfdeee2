"""The curators' pages about releases: each module registers what it shows, and `*pages.py` are pages of our own."""

from releases.admin import attestations, builds, ingests, jobs, releases

__all__ = ["attestations", "builds", "ingests", "jobs", "releases"]
