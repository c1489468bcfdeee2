from releases.models.build import Build, BuildOutput, Finding, Manifest
from releases.models.decision import Decision, DecisionQuerySet
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

__all__ = [
    "Approval",
    "Build",
    "BuildOutput",
    "Decision",
    "DecisionQuerySet",
    "DeclaredOutput",
    "Effect",
    "Finding",
    "Job",
    "Manifest",
    "MetadataRevision",
    "Recipe",
    "Release",
    "ReleaseQuerySet",
    "ReviewDiff",
    "SourceFile",
    "Step",
    "StepEvent",
    "Transition",
]
