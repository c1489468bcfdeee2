"""Which address of a name may be asked: never one of a private network unless it is allowed.

1. A name is resolved first, and every address that it has must be public or in the allowed networks.
2. Who asks connects to the address that was looked at, so that a name cannot change in between.
3. An address that carries another one inside (IPv4 in IPv6: mapped, 6to4, NAT64) is judged by that one.
4. A redirect is a new question: its name is looked at again.
"""

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from urllib.parse import SplitResult

from catalog.errors import PersonMustActError, TryLaterError

PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
IPv4_BITS = 0xFFFFFFFF
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


class AddressRefusedError(PersonMustActError):
    """A web address that our rules let nobody ask."""


class NameUnknownError(TryLaterError):
    """A name that has no address at this moment."""


def networks(texts: Sequence[str]) -> Networks:
    """Read networks in CIDR form, as DFC_PRIVATE_NETWORKS has them."""
    return [ipaddress.ip_network(one) for one in texts]


def resolve(url: SplitResult, allowed: Networks) -> tuple[str, int]:
    """Give the address and port to connect to.

    Raises AddressRefusedError for what is no web address, and if any address of the name is private;
    NameUnknownError if it has none.
    """
    try:
        port = url.port or PORTS.get(url.scheme, 0)
    except ValueError:
        port = 0
    if not port or not url.hostname:
        raise AddressRefusedError(
            f"{url.geturl()}: it is no web address. Write it like https://data.example.org/file."
        )
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise NameUnknownError(f"{url.hostname}: its name is not known ({error}).") from error
    private = sorted(address for address in found if not is_allowed(address, allowed))
    if private:
        raise AddressRefusedError(
            f"{url.hostname}: {private[0]} is no public address. If it is meant, allow its network in "
            "DFC_PRIVATE_NETWORKS."
        )
    return min(found), port


def is_allowed(text: str, allowed: Networks) -> bool:
    """Tell whether an address may be asked; one that is no unicast address is not, whoever allows it."""
    return all(is_public(one) or is_in(one, allowed) for one in within(ipaddress.ip_address(text.partition("%")[0])))


def is_in(address: Address, allowed: Networks) -> bool:
    return any(address in network for network in allowed) and not address.is_multicast


def is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not getattr(address, "is_site_local", False)


def within(address: Address) -> Iterator[Address]:
    """Give the addresses that decide about one: the one it carries, or itself."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
    elif address in NAT64:
        yield ipaddress.IPv4Address(int(address) & IPv4_BITS)
    else:
        yield address.ipv4_mapped or address.sixtofour or address
