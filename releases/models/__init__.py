from releases.models.build import Build, BuildOutput, Finding, Manifest
from releases.models.decision import Decision, DecisionQuerySet
from releases.models.ingest import Ingest, IngestFile, IngestFileQuerySet, IngestQuerySet
from releases.models.jobs import Effect, Job, Step, StepEvent
from releases.models.release import (
    Approval,
    DeclaredOutput,
    Recipe,
    Release,
    ReleaseQuerySet,
    SourceFile,
    Transition,
)
from releases.models.revision import MetadataRevision
from releases.models.watch import UpstreamNotice, UpstreamNoticeQuerySet, WatchedAddress

__all__ = [
    "Approval",
    "Build",
    "BuildOutput",
    "Decision",
    "DecisionQuerySet",
    "DeclaredOutput",
    "Effect",
    "Finding",
    "Ingest",
    "IngestFile",
    "IngestFileQuerySet",
    "IngestQuerySet",
    "Job",
    "Manifest",
    "MetadataRevision",
    "Recipe",
    "Release",
    "ReleaseQuerySet",
    "SourceFile",
    "Step",
    "StepEvent",
    "Transition",
    "UpstreamNotice",
    "UpstreamNoticeQuerySet",
    "WatchedAddress",
]
