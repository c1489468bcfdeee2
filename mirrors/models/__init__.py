from mirrors.models.copy import PUBLIC, Check, Deposit, Replica, ReplicaQuerySet
from mirrors.models.doi import Doi, DoiQuerySet
from mirrors.models.finding import Adoption, AdoptionFinding, Examination, ExaminationFinding
from mirrors.models.incident import Incident
from mirrors.models.mirror import (
    OWN_SLUG,
    Mirror,
    MirrorDay,
    MirrorMove,
    MirrorProbe,
    MirrorQuerySet,
    MirrorTransition,
    Policy,
)

__all__ = [
    "OWN_SLUG",
    "PUBLIC",
    "Adoption",
    "AdoptionFinding",
    "Check",
    "Deposit",
    "Doi",
    "DoiQuerySet",
    "Examination",
    "ExaminationFinding",
    "Incident",
    "Mirror",
    "MirrorDay",
    "MirrorMove",
    "MirrorProbe",
    "MirrorQuerySet",
    "MirrorTransition",
    "Policy",
    "Replica",
    "ReplicaQuerySet",
]
