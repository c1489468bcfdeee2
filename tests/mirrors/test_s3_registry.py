"""A bucket in the registry: what is refused before it is kept, what its doctor tells, and what its rows lead to."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from catalog.storage.connect import own_storage
from catalog.storage.multipart import Multipart, uploads
from mirrors.backends.base import Draft
from mirrors.backends.s3 import S3Mirror
from mirrors.backends.s3_doctor import Symptom
from mirrors.checks.repair import repair_copy
from mirrors.connect import connect, open_s3
from mirrors.deposits.tidy_uploads import expand_tidy, tidy_mirror
from mirrors.errors import MirrorRefusedError
from mirrors.models import Check, Incident, Mirror, Replica
from mirrors.registry.add_mirror import add_mirror
from mirrors.registry.doctor import examine
from mirrors.registry.mirror_entry import MirrorEntry
from mirrors.replicate import put_replica, upload
from mirrors.verify import check_replica, look, verify_deposit_replica
from releases.models import Step
from tests import factories
from tests.mirrors.s3_mirrors import Answered, Told, new_mirror
from tests.mirrors.uploads import Kept, quiet
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

pytestmark = pytest.mark.django_db
ENTRY = MirrorEntry(
    slug="far",
    kind="s3",
    endpoint="https://s3.example.org",
    bucket="data",
    prefix="dfc/",
    public_url="https://data.example.org/dfc",
    operator="A library",
    jurisdiction="CA",
)


def test_a_bucket_is_registered_with_all_that_was_said_of_it() -> None:
    more: dict[str, Any] = {
        "region": "ca-central-1",
        "addressing": "path",
        "storage_class": "STANDARD_IA",
        "part_mib": 128,
    }
    mirror = add_mirror(replace(ENTRY, upload_checksum="md5", **more), now=timezone.now())
    mirror.refresh_from_db()
    assert (mirror.bucket, mirror.prefix, mirror.region, mirror.addressing) == (
        "data",
        "dfc/",
        "ca-central-1",
        "path",
    )
    assert (mirror.storage_class, mirror.upload_checksum, mirror.part_mib) == ("STANDARD_IA", "md5", 128)
    mirror.full_clean()


REFUSED = [
    *(("endpoint", text, "is no address of a service") for text in ("", "s3.example.org", "https://a/?b", "ftp://a")),
    *(
        ("endpoint", text, "would be asked in the open")
        for text in ("http://8.8.8.8", "https://10.0.0.1", "http://[::1]")
    ),
    *(("bucket", text, "is no name of a bucket") for text in ("", "a", "Data", "a/b", "a b")),
    *(("prefix", text, "is no prefix") for text in ("dfc", "/dfc/", ".a/", "a//", "../")),
    ("public_url", "data.example.org", "is no web address"),
    ("addressing", "both", "'both' is not among auto, path, virtual"),
    ("upload_checksum", "crc32", "'crc32' is not among sha256, md5"),
    ("region", "ca central", "is no word of a service"),
    ("storage_class", "cold!", "is no word of a service"),
    *(("part_mib", number, "none that services take") for number in (0, 4, 1025)),
    ("settle_s", -1, "settle time is below nothing"),
]


@pytest.mark.parametrize(("field", "value", "sentence"), REFUSED)
def test_a_wrong_field_of_a_bucket_is_refused(field: str, value: Any, sentence: str) -> None:
    given: dict[str, Any] = {field: value}
    with pytest.raises(MirrorRefusedError, match=sentence):
        add_mirror(replace(ENTRY, **given), now=timezone.now())
    assert not Mirror.objects.exists()


@pytest.mark.parametrize("prefix", ["", "dfc/", "dfc/more/"])
def test_one_place_does_not_count_as_two_copies(prefix: str) -> None:
    add_mirror(replace(ENTRY, slug="first"), now=timezone.now())
    with pytest.raises(MirrorRefusedError, match="that of mirror 'first' lie in each other"):
        add_mirror(replace(ENTRY, prefix=prefix), now=timezone.now())
    add_mirror(replace(ENTRY, slug="second", prefix="dfc-2/"), now=timezone.now())
    add_mirror(replace(ENTRY, slug="third", bucket="data-2"), now=timezone.now())


def test_the_command_takes_what_a_bucket_needs(capsys: Any) -> None:
    named = ("kind", "endpoint", "bucket", "prefix", "public_url", "operator", "jurisdiction")
    words = [f"--{name.replace('_', '-')}={getattr(ENTRY, name)}" for name in named]
    call_command("mirror", "add", "far", *words, "--upload-checksum=md5", "--part-mib=16", "--json")
    mirror = Mirror.objects.get()
    assert (mirror.kind, mirror.bucket, mirror.upload_checksum, mirror.part_mib) == ("s3", "data", "md5", 16)
    with pytest.raises(CommandError, match="is no name of a bucket"):
        call_command("mirror", "add", "near", *words, "--bucket=B")


def test_the_form_takes_what_a_bucket_needs() -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("operator", password=None))
    typed = {name: str(text) for name, text in vars(ENTRY).items() if text not in {None, False}}
    answer = client.post("/admin/mirrors/mirror/add/", {**typed, "name": "Far", "prefix": "dfc", "is_enabled": "on"})
    assert "is no prefix" in answer.content.decode()
    answer = client.post("/admin/mirrors/mirror/add/", {**typed, "name": "Far", "is_enabled": "on"})
    assert answer.status_code == 302, answer.content.decode()
    assert Mirror.objects.get().bucket == "data"


@pytest.mark.parametrize("missing", ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY"])
def test_a_bucket_without_keys_is_not_opened_and_the_variable_is_named(settings: Any, missing: str) -> None:
    keys = {"DFC_MIRROR_FAR_ACCESS_KEY_ID": "a", "DFC_MIRROR_FAR_SECRET_ACCESS_KEY": "b"}
    settings.DFC_MIRROR_SECRETS = {name: text for name, text in keys.items() if not name.endswith(f"FAR_{missing}")}
    with pytest.raises(MirrorRefusedError, match=f"DFC_MIRROR_FAR_{missing}: it is not set"):
        connect(factories.mirror("far", kind="s3", endpoint="https://s3.example.org", bucket="data"))


@pytest.fixture
def far(s3: S3Server, settings: Any, tmp_path: Path) -> Mirror:
    """Give a mirror at the tests' server, whose objects anybody may read."""
    settings.DFC_MIRROR_SECRETS = {
        "DFC_MIRROR_FAR_ACCESS_KEY_ID": ACCESS_KEY,
        "DFC_MIRROR_FAR_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    settings.DFC_DATA_DIR = tmp_path
    backend = new_mirror(s3, tmp_path)
    backend.objects.client.put_bucket_acl(Bucket="mirrors", ACL="public-read")
    return factories.mirror(
        "far",
        kind="s3",
        endpoint=s3.endpoint,
        bucket="mirrors",
        prefix=backend.place.prefix,
        region="us-east-1",
        addressing="path",
        public_url=f"{s3.endpoint}/v1/AUTH_test/mirrors/{backend.place.prefix.rstrip('/')}",
    )


def results(mirror: Mirror) -> dict[str, str]:
    return {one.check: one.result for one in examine(mirror)}


def left(mirror: Mirror) -> list[str]:
    backend = open_s3(mirror)
    unfinished = uploads(backend.objects.client, "mirrors", mirror.prefix)
    return [*backend.objects.names_below(mirror.prefix), *(one.upload_id for one, _ in unfinished)]


ALL = ("enter", "write", "immutable", "checksum", "range", "metadata", "etag", "parts", "public", "public-range")
GOOD = dict.fromkeys(ALL, "good") | {"clean": "good"}


@pytest.mark.s3
@pytest.mark.parametrize("checksum", ["sha256", "md5"])
def test_the_doctor_finds_a_good_service_good_and_leaves_nothing(far: Mirror, checksum: str) -> None:
    far.upload_checksum = checksum
    assert results(far) == GOOD | {"cors": "weak"}, "the server's buckets have no rule for browsers"
    assert left(far) == []


def ignores(params: dict[str, Any]) -> None:
    for name in ("IfNoneMatch", "ChecksumSHA256"):
        params.pop(name, None)
    params["Metadata"] = {}


@pytest.mark.s3
def test_the_doctor_sees_what_a_service_ignores(far: Mirror) -> None:
    with Told(open_s3(far), "PutObject", ignores):
        found = results(far)
    weak = {"immutable": "weak", "checksum": "weak", "metadata": "weak", "cors": "weak"}
    assert found == GOOD | weak
    assert left(far) == []


@pytest.mark.s3
def test_the_doctor_ends_early_where_the_keys_open_nothing(far: Mirror, settings: Any, capsys: Any) -> None:
    settings.DFC_MIRROR_SECRETS |= {"DFC_MIRROR_FAR_SECRET_ACCESS_KEY": "other"}
    with pytest.raises(CommandError, match="At least one thing that a mirror needs is missing"):
        call_command("mirror", "doctor", "far", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["result"], row["check"]) == ("bad", "enter")
    assert "DFC_MIRROR_FAR_SECRET_ACCESS_KEY" in row["finding"]


@pytest.mark.s3
def test_the_doctor_sees_a_wrong_public_address(far: Mirror) -> None:
    far.public_url += "/elsewhere"
    found = results(far)
    assert found.pop("public") == "bad"
    assert "cors" not in found
    assert found == {name: one for name, one in GOOD.items() if not name.startswith("public")}


@pytest.mark.s3
def test_the_doctor_says_what_is_left_where_nothing_may_be_deleted(far: Mirror) -> None:
    with Answered(open_s3(far), "DeleteObject", lambda _request: (403, "AccessDenied")):
        last: Symptom = examine(far)[-1]
    assert (last.check, last.result) == ("clean", "bad")
    assert "by hand" in last.finding


def test_a_directory_has_no_doctor() -> None:
    with pytest.raises(MirrorRefusedError, match="there is no doctor for mirrors of kind local"):
        examine(factories.mirror("north"))


@pytest.mark.s3
def test_a_copy_is_put_from_our_own_storage_and_read_back(far: Mirror) -> None:
    asset = factories.asset(is_stored=True)
    copy = factories.replica(asset, far, Replica.State.PENDING, locator="")
    put_replica(factories.step("mirrors.replicate.put_replica", copy.pk), copy.pk)
    verify_deposit_replica(factories.step("mirrors.verify.verify_deposit_replica", copy.pk), copy.pk)
    copy.refresh_from_db()
    assert copy.state == Replica.State.VERIFIED
    assert copy.url == f"{far.public_url}/{asset.storage_key}"
    (check,) = Check.objects.filter(replica=copy)
    assert (check.level, check.checksum_seen) == (Check.Level.FULL, hashlib.sha256(factories.CONTENT).hexdigest())


@pytest.fixture
def begun(far: Mirror) -> Iterator[Multipart]:
    """Give an upload that was begun at the mirror, and never continued."""
    backend = open_s3(far)
    upload = Multipart.begin(backend.objects.client, "mirrors", f"{far.prefix}old.bin", metadata={})
    yield upload
    upload.abort()


@pytest.mark.s3
@pytest.mark.parametrize("state", [None, Step.State.FAILED, Step.State.DONE])
def test_an_old_upload_goes_unless_a_step_may_go_on_with_it(
    far: Mirror, begun: Multipart, monkeypatch: Any, state: str | None
) -> None:
    if state:
        factories.step().save({"upload_id": begun.upload_id})
        Step.objects.update(state=state, error="It failed.")
    tidy_mirror(factories.step("mirrors.deposits.tidy_uploads.tidy_mirror", far.pk), far.pk)
    assert left(far) == [begun.upload_id], "it is not a week old"
    monkeypatch.setattr("mirrors.deposits.tidy_uploads.CONTINUED_WITHIN", timedelta(days=-1))
    tidy_mirror(factories.step("mirrors.deposits.tidy_uploads.tidy_mirror", far.pk + 1), far.pk)
    assert left(far) == ([begun.upload_id] if state == Step.State.FAILED else [])


def test_only_buckets_in_service_are_tidied() -> None:
    factories.mirror("north")
    far = factories.mirror("far", kind="s3")
    factories.mirror("off", kind="s3", is_enabled=False)
    assert [one.subject for one in expand_tidy(1)] == [far.pk]


def flip(mirror: Mirror, copy: Replica) -> None:
    """Change one byte of a copy behind our back; our claim about it stays as it was."""
    objects = open_s3(mirror).objects
    content = bytearray(b"".join(connect(mirror).read(copy.locator)))
    content[len(content) // 2] ^= 1
    metadata = {"dfc-sha256": copy.asset.sha256}
    objects.client.put_object(**objects.words(copy.locator), Body=bytes(content), Metadata=metadata)


@pytest.mark.s3
def test_a_flipped_byte_is_seen_by_the_checksum_of_the_service_and_put_right(far: Mirror, tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    asset = factories.asset(is_stored=True)
    for mirror in (factories.mirror("north", endpoint=str(tmp_path / "north")), far):
        copy = factories.replica(asset, mirror, Replica.State.PENDING, locator="")
        put_replica(factories.step("mirrors.replicate.put_replica", copy.pk), copy.pk)
    copy.refresh_from_db()
    backend, before = connect(far), timezone.now() - timedelta(seconds=2)
    assert check_replica(copy, backend=backend, level=Check.Level.CHECKSUM, now=before).result == Check.Result.PASSED
    flip(far, copy)
    check = check_replica(copy, backend=backend, level=Check.Level.CHECKSUM, now=before + timedelta(seconds=1))
    assert (check.result, check.method) == (Check.Result.DAMAGED, "md5 of the mirror")
    repair_copy(factories.step("mirrors.checks.repair.repair_copy"), Incident.objects.get().pk)
    copy.refresh_from_db()
    assert copy.state == Replica.State.VERIFIED
    assert b"".join(backend.read(copy.locator)) == factories.CONTENT


@pytest.mark.s3
def test_of_what_came_in_parts_level_two_is_refused_and_level_four_finds_the_flipped_byte(far: Mirror) -> None:
    content = bytes(range(256)) * 1000
    copy = factories.replica(factories.asset(content=content, is_stored=True), far)
    asset, backend = copy.asset, S3Mirror(*parts_of(open_s3(far)), scratch=settings.DFC_DATA_DIR)
    draft = Draft(asset.storage_key.removesuffix(f"/{asset.path}"), "")
    backend.put(
        draft, upload(asset, partial(own_storage().read, asset.storage_key)), checkpoint=Kept(), progress=quiet
    )
    with pytest.raises(MirrorRefusedError, match="far: it reports no checksum, so L2 cannot be done"):
        check_replica(copy, backend=backend, level=Check.Level.CHECKSUM, now=timezone.now())
    assert look(copy, backend, Check.Level.FULL, quiet).result == Check.Result.PASSED
    flip(far, copy)
    assert look(copy, backend, Check.Level.FULL, quiet).result == Check.Result.DAMAGED


def parts_of(mirror: S3Mirror) -> tuple[Any, Any]:
    return mirror.objects.service, replace(mirror.place, part_bytes=100_000)
