"""`/api/v1/`: signed statements about builds, sent in and given out. docs/attestations.md describes every answer."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from catalog.say import say
from mirrors.redirect import client_of, find_version, open_to_all
from releases.bundle import FILES
from releases.errors import AttestationRefusedError
from releases.models import Attestation, AttestedDifference, Rebuilder, SigningKey
from releases.models.attestation import Channel
from releases.statements.attest import Accepted, accept_attestation
from releases.statements.envelopes import KEYID, LARGEST_BYTES, PAYLOAD_TYPE
from releases.statements.provenance import shown
from releases.statements.rebuilds import Rebuilds, rebuilds_of
from swarm.errors import TooManyUsesError
from swarm.limits import note_refusal, refuse_busy
from swarm.models import FormUse

FOREVER = "public, max-age=31536000, immutable"
CREATED, OK, TOO_MANY, UNFIT = 201, 200, 429, 422
STATUS = {
    "too_large": 413,
    "not_dsse": 400,
    "not_in_toto": 400,
    "unknown_key": 403,
    "bad_signature": 403,
    "revoked_key": 403,
    "unknown_version": 404,
    "withdrawn": 410,
    "stale": 409,
}  # any other refusal is 422: it was understood and does not fit
reading = require_http_methods(["GET", "HEAD"])


def submit_statement(request: HttpRequest, text: bytes, *, channel: str) -> Accepted:
    """Accept a statement for a door of the public; what is refused counts to the network that sent it.

    Raises AttestationRefusedError, or TooManyUsesError where too much was refused from that network today.
    """
    now, network = timezone.now(), client_of(request).key
    limit = settings.DFC_REFUSED_STATEMENTS_PER_NETWORK
    refuse_busy(FormUse.Form.ATTEST, network=network, limit=limit, now=now)
    try:
        return accept_attestation(text, now=now, channel=channel)
    except AttestationRefusedError:
        note_refusal(FormUse.Form.ATTEST, network=network, now=now)
        raise


@csrf_exempt
@require_POST
def submit(request: HttpRequest) -> HttpResponse:
    """Take one envelope as the whole body: 201 for a new statement, 200 for one that is here, 4xx with a code."""
    try:
        accepted = submit_statement(request, body_of(request), channel=Channel.API)
    except AttestationRefusedError as error:
        code = str(error.facts["code"])
        return refusal(code, say(error), status=STATUS.get(code, UNFIT))
    except TooManyUsesError as error:
        return refusal("too_many", str(error), status=TOO_MANY)
    return JsonResponse(described(accepted.attestation), status=CREATED if accepted.is_new else OK)


def body_of(request: HttpRequest) -> bytes:
    """Read the body up to one byte more than an envelope may have, however long it says that it is."""
    return request.read(LARGEST_BYTES + 1)


def refusal(code: str, message: str, *, status: int) -> HttpResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)


@reading
def envelope(_request: HttpRequest, sha256: str) -> HttpResponse:
    """Give one statement byte for byte as it was signed."""
    found = Attestation.objects.filter(sha256=sha256).first() if KEYID.fullmatch(sha256) else None
    if found is None:
        raise Http404
    response = HttpResponse(found.envelope, content_type="application/vnd.dsse.envelope.v1+json")
    response["Content-Disposition"] = f'attachment; filename="{sha256}.json"'
    response["ETag"] = f'"{sha256}"'
    return open_to_all(response, cache=FOREVER)


@reading
def of_version(_request: HttpRequest, dataset: str, number: str) -> HttpResponse:
    """List what is stated about a version, each with our verdict; `counts` tells the newest of a recognised key."""
    version = find_version(dataset, number)
    found = rebuilds_of(version)
    document = {
        "version": str(version),
        "rebuilders": found.total,
        "identical": found.identical,
        "attestations": rows_of(found),
    }
    return open_to_all(JsonResponse(document))


def rows_of(found: Rebuilds) -> list[dict[str, Any]]:
    ours = [found.ours] if found.ours else []
    rows = [(one, True) for one in found.counted] + [(one, False) for one in (*ours, *found.others)]
    return [described(one) | {"counts": counts} for one, counts in rows]


def described(one: Attestation) -> dict[str, Any]:
    return {
        "sha256": one.sha256,
        "url": f"{settings.DFC_SITE_URL}{reverse('attestation', args=[one.sha256])}",
        "version": str(one.version),
        "rebuilder": one.rebuilder.name if one.rebuilder else None,
        "keyid": one.keyid,
        "predicate_type": one.predicate_type,
        "verdict": one.verdict,
        "finding": one.finding,
        "other_code_tree": one.other_code_tree or None,
        "differing_files": [differing(difference) for difference in one.differences.all()],
        "finished_at": shown(one.finished_at),
        "received_at": shown(one.received_at),
    }


def differing(one: AttestedDifference) -> dict[str, Any]:
    return {
        "path": one.path,
        "kind": one.kind,
        "published_sha256": one.published_sha256 or None,
        "sha256": one.sha256 or None,
    }


@reading
def rebuilders(_request: HttpRequest) -> HttpResponse:
    """List the public keys by which statements are verified: ours, and those of rebuilders, revoked ones too."""
    ours = [
        {"keyid": one.keyid, "public_key": one.public_key, "first_used_at": shown(one.first_used_at)}
        for one in SigningKey.objects.all()
    ]
    theirs = [
        {
            "name": one.name,
            "operator_kind": one.operator_kind,
            "jurisdiction": one.jurisdiction,
            "state": one.state,
            "keyid": one.keyid,
            "public_key": one.public_key,
            "added_at": shown(one.added_at),
        }
        for one in Rebuilder.objects.all()
    ]
    return open_to_all(JsonResponse({"payload_type": PAYLOAD_TYPE, "ours": ours, "rebuilders": theirs}))


@reading
def rebuild_script(_request: HttpRequest) -> HttpResponse:
    """Give rebuild.py alone: with --bundle it fetches everything else from the mirrors that it is told."""
    response = HttpResponse((FILES / "rebuild.py").read_bytes(), content_type="text/x-python; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="rebuild.py"'
    return open_to_all(response)
