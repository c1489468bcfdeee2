"""What an installation needs of its machine, looked at one thing after another; here: who registers DOIs."""

from collections.abc import Iterator

from django.conf import settings
from django.utils.translation import gettext as _

from catalog.checkup import ABSENT, OK, Check
from mirrors.doi.connect import datacite_client
from mirrors.errors import RegistrarRefusedError, RegistrarUnavailableError


def checks() -> Iterator[Check]:
    """Look whether DataCite answers and knows us, where it is set up."""
    if settings.DFC_DATACITE_PREFIX:
        yield datacite()


def datacite() -> Check:
    """Ask for a DOI that nobody made; who may not ask is told so."""
    try:
        datacite_client().get(f"{settings.DFC_DATACITE_PREFIX}/d4c.checkup")
    except RegistrarUnavailableError as error:
        return Check("DataCite", ABSENT, error.message, _("Look again later; publications wait for it."))
    except RegistrarRefusedError as error:
        return Check("DataCite", ABSENT, error.message, _("Correct the settings that it names."))
    return Check("DataCite", OK, _("it answers and knows %(name)s") % {"name": settings.DFC_DATACITE_REPOSITORY})
