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

__all__ = [
    "Approval",
    "Build",
    "BuildOutput",
    "Decision",
    "DecisionQuerySet",
    "DeclaredOutput",
    "Difference",
    "Effect",
    "EnvironmentImage",
    "Finding",
    "Job",
    "KnownCause",
    "Manifest",
    "MetadataRevision",
    "Recipe",
    "Release",
    "ReleaseQuerySet",
    "SourceFile",
    "Step",
    "StepEvent",
    "Transition",
]
