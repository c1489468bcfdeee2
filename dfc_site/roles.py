"""The groups of people and what each may do. Nobody here gets a permission on the queue's own tables."""

from django.contrib.auth.models import Group, Permission

ACTS = ("draft", "build", "submit", "approve", "steer")
SEEN = ("catalog", "releases", "mirrors", "swarm")


def ensure_groups() -> None:
    """Create or mend the groups `curator` and `auditor`. Safe to run at every start."""
    views = Permission.objects.filter(codename__startswith="view_", content_type__app_label__in=SEEN)
    acts = Permission.objects.filter(
        codename__in=[f"{act}_release" for act in ACTS], content_type__app_label="releases"
    )
    texts = Permission.objects.filter(codename="change_datapackage", content_type__app_label="catalog")
    Group.objects.get_or_create(name="curator")[0].permissions.set([*views, *acts, *texts])
    Group.objects.get_or_create(name="auditor")[0].permissions.set(views)
