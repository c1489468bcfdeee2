"""Names that nobody can guess, and the signature on the link of a letter.

A link is `<key of the letter>-<96 bits of HMAC-SHA-256>`: short enough for a line of a letter. Whoever reads the
database knows the keys and still cannot make a link; whoever reads a link cannot make another.
"""

import base64
import secrets

from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from swarm.errors import LinkForgedError

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # without what is easily misread
MAC_BYTES = 12


def new_name(length: int) -> str:
    """Draw a name of about 5 bits a character."""
    return "".join(secrets.choice(ALPHABET) for _place in range(length))


def sign(key: str) -> str:
    """Give the part of an address that opens the letter `key`."""
    return f"{key}-{signature(key)}"


def signature(key: str) -> str:
    digest = salted_hmac("swarm.links", key, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest[:MAC_BYTES]).decode()


def read(token: str) -> str:
    """Give the key that was signed; raises LinkForgedError for anything that we did not sign, also a part of it."""
    key, _dash, mac = token.partition("-")
    if not constant_time_compare(mac.encode(), signature(key).encode()):
        raise LinkForgedError(
            _("This address was not made by us, or a part of it is missing. Copy it whole from the letter.")
        )
    return key
