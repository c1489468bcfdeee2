from releases.models.build import Build, BuildOutput, Finding, Manifest
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

__all__ = [
    "Approval",
    "Build",
    "BuildOutput",
    "DeclaredOutput",
    "Effect",
    "Finding",
    "Job",
    "Manifest",
    "Recipe",
    "Release",
    "ReleaseQuerySet",
    "SourceFile",
    "Step",
    "StepEvent",
    "Transition",
]
