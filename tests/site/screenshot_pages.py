"""Which pages the pictures show: a name for each, and its address with `{language}` and the numbers of rows in it."""

PROVINCES = "ca_natural-earth-2021A000011124_d4c-datapkg-foundation_2022_provinces-territories-50m"
TILES = "ca-bc_vancouver-2022A00055915022_d4c-datapkg-orthoimagery_2022_075mm-index"
WAITING = "v0.2.0-beta"
VERSION = f"/{{language}}/datasets/{PROVINCES}/v0.1.0-beta/"
PUBLIC = {
    "home": "/{language}/",
    "home-search": "/{language}/?q=colombie-britannique",
    "home-filtered": "/{language}/?package=d4c-datapkg-foundation&from=2020&to=2024",
    "home-nothing": "/{language}/?q=zebra",
    "home-digest": "/{language}/?q=" + "0" * 64,
    "dataset": f"/{{language}}/datasets/{PROVINCES}/",
    "version": VERSION,
    "version-tiles": f"/{{language}}/datasets/{TILES}/v0.1.0-beta/",
    "evidence": f"{VERSION}evidence/",
    "rebuild": f"{VERSION}rebuild/",
    "copy-history": f"{VERSION}evidence/{{copy}}/",
    "mirrors": "/{language}/mirrors/",
    "nodes-empty": "/{language}/nodes/",
    "nodes": "/{language}/nodes/",
    "node-register": "/{language}/nodes/register/",
    "node-registered": "/{language}/nodes/registered/",
    "node-confirmed": "/{language}/nodes/confirmed/",
    "node-erased": "/{language}/nodes/erased/",
    "node-ask": "/{language}/nodes/link/",
    "node-link-sent": "/{language}/nodes/link/sent/",
    "node-link-broken": "/{language}/nodes/link/broken/",
    "node-closed": "/{language}/nodes/n-222222/",
    "help": "/{language}/help/",
    "not-found": "/{language}/nothing/",
}
OWNER = {
    "node-own": "/{language}/nodes/{node}/",
    "node-change": "/{language}/nodes/{node}/change/",
    "node-leave-grace": "/{language}/nodes/{node}/leave/?how=grace",
    "node-leave-now": "/{language}/nodes/{node}/leave/?how=now",
    "node-erase": "/{language}/nodes/{node}/erase/",
}
RELEASE = "/admin/releases/release/"
MIRROR = "/admin/mirrors/mirror/"
POLICIES = "/admin/mirrors/policy/"
REPLICAS = "/admin/mirrors/replica/"
BOARD = f"{RELEASE}{{waiting}}/board/"
ADMIN = {
    "admin-home": "/admin/",
    "admin-release": f"{RELEASE}{{waiting}}/change/",
    "admin-review": f"{RELEASE}{{waiting}}/diff/",
    "admin-review-schema": f"{RELEASE}{{waiting}}/diff/?tab=schema",
    "admin-review-statistics": f"{RELEASE}{{waiting}}/diff/?tab=statistics",
    "admin-review-metadata": f"{RELEASE}{{waiting}}/diff/?tab=metadata",
    "admin-review-map": f"{RELEASE}{{waiting}}/diff/?tab=map",
    "admin-review-recipe": f"{RELEASE}{{waiting}}/diff/?tab=recipe",
    "admin-release-public": f"{RELEASE}{{public}}/change/",
    "admin-board": f"{RELEASE}{{public}}/board/",
    "admin-list-releases": RELEASE,
    "admin-list-decisions": "/admin/releases/decision/",
    "admin-list-jobs": "/admin/releases/job/",
    "admin-list-builds": "/admin/releases/build/",
    "admin-list-ingests": "/admin/releases/ingest/",
    "admin-ingest": "/admin/releases/ingest/1/change/",
    "admin-list-notices": "/admin/releases/upstreamnotice/",
    "admin-list-rebuilders": "/admin/releases/rebuilder/",
    "admin-list-attestations": "/admin/releases/attestation/",
    "admin-rebuilder-add": "/admin/releases/rebuilder/add/",
    "admin-list-datasets": "/admin/catalog/dataset/",
    "admin-list-mirrors": MIRROR,
    "admin-list-replicas": REPLICAS,
    "admin-list-nodes": "/admin/swarm/node/",
    "admin-dataset": "/admin/catalog/dataset/{dataset}/change/",
    "admin-replica": f"{REPLICAS}{{copy}}/change/",
    "admin-node": "/admin/swarm/node/{node_row}/change/",
    "admin-not-found": "/admin/nothing/",
}
AUTHOR = {
    "admin-ingest-add": "/admin/releases/ingest/add/",
    "admin-ingest-steer": "/admin/releases/ingest/1/change/",
}
OPERATING = {
    "admin-mirror": f"{MIRROR}{{mirror}}/change/",
    "admin-mirror-add": f"{MIRROR}add/",
    "admin-mirror-history": f"{MIRROR}{{mirror}}/history/",
    "admin-list-policies": POLICIES,
    "admin-policy-add": f"{POLICIES}add/",
    "admin-policy-removed": f"{POLICIES}{{policy}}/delete/",
    "admin-list-dois": "/admin/mirrors/doi/",
    "admin-list-deposits": "/admin/mirrors/deposit/",
    "admin-list-examinations": "/admin/mirrors/examination/",
    "admin-list-adoption-findings": "/admin/mirrors/adoptionfinding/",
}
KEYS = f"""
import json
from catalog.models import Dataset, Version
from mirrors.models import Mirror, Replica
from releases.models import Release
public = Release.objects.get(version__dataset__identifier={PROVINCES!r}, version__number="0.1.0-beta")
print(json.dumps({{
    "public": public.pk,
    "waiting": Release.objects.get(version__number={WAITING.removeprefix("v")!r}).pk,
    "dataset": public.version.dataset_id,
    "tiles": Version.objects.get(dataset__identifier={TILES!r}).pk,
    "mirror": Mirror.objects.get(slug="second").pk,
    "policy": Mirror.objects.get(slug="second").policies.get().pk,
    "copy": Replica.objects.filter(asset__item__version=public.version).order_by("pk")[0].pk,
    "node_row": 1,
}}))
"""
