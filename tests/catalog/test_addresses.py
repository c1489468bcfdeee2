"""Whom we may ask: public addresses, and private ones only where their network is allowed."""

import ipaddress
from urllib.parse import urlsplit

import pytest

from catalog.addresses import AddressRefusedError, NameUnknownError, is_allowed, networks, resolve

PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "192.0.0.1", "198.18.0.1", "240.0.0.1", "255.255.255.255", "224.0.0.1", "239.1.2.3"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::"),
    *(
        "2002:a00:1::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001::1",
        "2001:db8::1",
    ),
]
PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"]
HOSTILE = [
    *("http://127.0.0.1/", "http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://127.1/"),
    *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:a9fe:a9fe]/", "http://user@127.0.0.1/"),
    *("http://public.example.org@10.0.0.1/", "http://localhost/", "https://10.0.0.1:8443/x", "http://0/"),
    *("ftp://example.org/", "file:///etc/passwd", "http:///x", "gopher://127.0.0.1/", "http://127.0.0.1:99999/"),
    *("http://127.0.0.1:0/", "//127.0.0.1/x", "127.0.0.1", ""),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_allowed_by_itself(address: str) -> None:
    assert not is_allowed(address, ())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(address, ())


def test_a_network_that_is_allowed_lets_its_addresses_through_and_no_other() -> None:
    allowed = networks(["10.0.0.0/8", "fd00::/8"])
    assert is_allowed("10.1.2.3", allowed)
    assert is_allowed("::ffff:10.1.2.3", allowed)
    assert is_allowed("fd12::1", allowed)
    assert not is_allowed("192.168.1.1", allowed)
    assert not is_allowed("239.1.2.3", networks(["0.0.0.0/0"]))


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_web_address_leads_nowhere(url: str) -> None:
    with pytest.raises(AddressRefusedError, match=r"no public address|no web address"):
        resolve(urlsplit(url), ())


def test_the_address_that_was_looked_at_is_the_one_to_connect_to() -> None:
    loopback = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
    assert resolve(urlsplit("http://127.0.0.1:8080/x"), loopback) == ("127.0.0.1", 8080)
    assert resolve(urlsplit("https://127.0.0.1/x"), loopback) == ("127.0.0.1", 443)


def test_a_name_without_an_address_may_have_one_later() -> None:
    with pytest.raises(NameUnknownError, match="its name is not known"):
        resolve(urlsplit("http://nothing.invalid/"), ())
