"""Pages for what goes wrong: in the language of the address, with a way on, also while the database is down."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import include, path

from dfc_site import urls

ROOT = Path(__file__).resolve().parents[2]
WORDS = {
    400: ("We cannot read this request", "Nous ne pouvons pas lire cette requête"),
    403: ("You may not do this", "Vous ne pouvez pas faire cela"),
    404: ("There is nothing at this address", "Il n’y a rien à cette adresse"),
    500: ("Something failed here", "Quelque chose a échoué ici"),
}


def refuse(_request: HttpRequest) -> Any:
    raise PermissionDenied


def suspect(_request: HttpRequest) -> Any:
    raise SuspiciousOperation


def fail(_request: HttpRequest) -> Any:
    raise RuntimeError


broken = [path("403/", refuse), path("400/", suspect), path("500/", fail)]
urlpatterns = [path("en/", include(broken)), path("fr/", include(broken)), *urls.urlpatterns]


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize("status", sorted(WORDS))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_error_speaks_the_language_of_the_address(status: int, language: str) -> None:
    client = Client(raise_request_exception=False)
    answer = client.get(f"/{language}/{status}/", HTTP_ACCEPT_LANGUAGE="en")
    page = answer.content.decode()
    assert answer.status_code == status
    assert f'<html lang="{language}">' in page
    assert WORDS[status][language == "fr"] in page
    assert WORDS[status][language == "en"] not in page
    assert f'href="/{language}/"' in page
    assert f'href="/{language}/help/"' in page
    assert 'href="/fr/"' in page if language == "en" else 'href="/en/"' in page


@pytest.mark.django_db
def test_an_unknown_dataset_version_and_page_are_not_found(client: Client) -> None:
    for address in ("datasets/none/", "datasets/none/v1.0.0/", "datasets/x%00/", "datasets/none/latest/", "none/"):
        answer = client.get(f"/fr/{address}")
        assert answer.status_code == 404, address
        assert WORDS[404][1] in answer.content.decode()
    assert 'role="search"' in client.get("/fr/none/").content.decode()


@pytest.mark.django_db
def test_an_old_form_is_refused_with_a_way_on() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/fr/nodes/register/", {"email": "a@example.org"})
    assert answer.status_code == 403
    assert WORDS[403][1] in answer.content.decode()


ASK = """
import json, sys
import django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
answers = [client.get(address) for address in ("/en/", "/fr/", "/fr/datasets/x/", "/fr/help/", "/healthz")]
print(json.dumps([[one.status_code, one.content.decode()] for one in answers]))
"""


def test_without_a_database_pages_say_that_it_is_our_error(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "dfc_site.settings",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "DFC_DATA_DIR": str(tmp_path),
        "DFC_ALLOWED_HOSTS": "testserver",
        "DFC_LOG_LEVEL": "CRITICAL",
    }
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(collect, cwd=ROOT, env=environment, check=True)
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    english, french, dataset, help_page, health = json.loads(done.stdout)
    assert [one[0] for one in (english, french, dataset, health)] == [500] * 4
    assert WORDS[500][0] in english[1]
    assert WORDS[500][1] in french[1]
    assert '<html lang="fr">' in dataset[1]
    assert help_page[0] == 200
