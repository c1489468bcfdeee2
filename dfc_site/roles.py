"""The groups of people and what each may do. Nobody here gets a permission on the queue's own tables."""

from django.contrib.auth.models import Group, Permission

ACTS = ("ingest", "draft", "build", "submit", "approve", "steer")
SEEN = ("catalog", "releases", "mirrors", "swarm")


def ensure_groups() -> None:
    """Create or mend the groups of people. Safe to run at every start."""
    views = Permission.objects.filter(codename__startswith="view_", content_type__app_label__in=SEEN)
    codenames = [*(f"{act}_release" for act in ACTS), "propose_decision", "second_decision", "recognise_rebuilder"]
    acts = Permission.objects.filter(codename__in=codenames, content_type__app_label="releases")
    texts = Permission.objects.filter(codename="change_datapackage", content_type__app_label="catalog")
    nodes = Permission.objects.filter(content_type__app_label="swarm", content_type__model__startswith="node")
    approve, suspend = nodes.filter(codename="approve_node"), nodes.filter(codename="suspend_node")
    mirrors = Permission.objects.filter(
        codename__in=["verify_replica", "pause_mirror", "adopt_mirror", "examine_mirror"],
        content_type__app_label="mirrors",
    )
    Group.objects.get_or_create(name="curator")[0].permissions.set([*views, *acts, *texts, *approve, *mirrors])
    registry = [f"{act}_{row}" for row in ("mirror", "policy") for act in ("add", "change", "delete")]
    keeps = Permission.objects.filter(codename__in=registry, content_type__app_label="mirrors")
    Group.objects.get_or_create(name="mirror-operator")[0].permissions.set([*views, *mirrors, *keeps])
    Group.objects.get_or_create(name="node-steward")[0].permissions.set(
        [*nodes.filter(codename__startswith="view_"), *approve, *suspend]
    )
    Group.objects.get_or_create(name="auditor")[0].permissions.set(views)
