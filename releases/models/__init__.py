from releases.models.attestation import (
    Attestation,
    AttestationQuerySet,
    AttestedDifference,
    Rebuilder,
    RebuilderMove,
    RebuilderTransition,
    SigningKey,
)
from releases.models.build import (
    Build,
    BuildOutput,
    Difference,
    EnvironmentImage,
    Finding,
    KnownCause,
    Manifest,
)
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
from releases.models.review_diff import ReviewDiff
from releases.models.revision import MetadataRevision
from releases.models.watch import UpstreamNotice, UpstreamNoticeQuerySet, WatchedAddress

__all__ = [
    "Approval",
    "Attestation",
    "AttestationQuerySet",
    "AttestedDifference",
    "Build",
    "BuildOutput",
    "Decision",
    "DecisionQuerySet",
    "DeclaredOutput",
    "Difference",
    "Effect",
    "EnvironmentImage",
    "Finding",
    "Ingest",
    "IngestFile",
    "IngestFileQuerySet",
    "IngestQuerySet",
    "Job",
    "KnownCause",
    "Manifest",
    "MetadataRevision",
    "Rebuilder",
    "RebuilderMove",
    "RebuilderTransition",
    "Recipe",
    "Release",
    "ReleaseQuerySet",
    "ReviewDiff",
    "SigningKey",
    "SourceFile",
    "Step",
    "StepEvent",
    "Transition",
    "UpstreamNotice",
    "UpstreamNoticeQuerySet",
    "WatchedAddress",
]
